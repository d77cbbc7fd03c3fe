"""PNG files to pixels."""

import io
import struct
from typing import Final

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from artifacts.pictures.errors import PILLOW_REFUSES, BrokenPicture
from artifacts.pictures.layers import flattened
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.metadata import Metadata, png_chunks
from engine.geometry import Pixels

_GRAY, _COLOUR, _DEEP = 0, 2, 16
"""Of the header's colour types, those whose tRNS chunk names one colour that is transparent; bits a sample."""
_CLEAR, _SOLID = np.uint8(0), np.uint8(255)
_BYTES_A_PIXEL: Final = 9
"""While it is decoded: four in Pillow, three of the picture, some in strips."""
_BYTES_OF_KEYED: Final = 26
"""The same where one colour of 16 bits is transparent, which takes a second decoder."""
_LARGEST_PALETTE: Final = 3 * 256
"""Bytes."""
_HEADER: Final = struct.Struct(">IIBB")
"""Width, height, bits a sample and colour type, 16 bytes into the file."""


def read_png(data: bytes, about: Metadata, limits: PictureLimits) -> Pixels:
    """RGB uint8 [H,W,3] as stored, in sRGB, on white; raises BrokenPicture or TooLarge."""
    width, height, depth, kind = png_header(data)
    keyed = kind in (_GRAY, _COLOUR) and depth == _DEEP and b"tRNS" in data
    limits.check(width, height, _BYTES_OF_KEYED if keyed else _BYTES_A_PIXEL)
    bare = _bare(data)
    try:
        image: Image.Image = PngImageFile(io.BytesIO(bare))
        image.load()
    except PILLOW_REFUSES:
        raise BrokenPicture from None
    alpha = None
    if kind in (_GRAY, _COLOUR) and (key := image.info.get("transparency")) is not None:
        alpha = _alpha(image, key, depth, bare)
    return flattened(image, about, alpha)


def png_header(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits a sample and colour type; raises BrokenPicture."""
    if len(data) < 16 + _HEADER.size:
        raise BrokenPicture
    width, height, depth, kind = _HEADER.unpack_from(data, 16)
    if not width or not height:
        raise BrokenPicture
    return width, height, depth, kind


def _bare(data: bytes) -> bytes:
    """Without metadata: Pillow refuses a whole picture for a text that is too long, and for damaged ones. Raises
    BrokenPicture for a palette that is none, which it fills up with black."""
    needed = [(start, end) for kind, start, end in png_chunks(data) if kind[:1].isupper() or kind == b"tRNS"]
    palettes = [end - start - 12 for start, end in needed if data.startswith(b"PLTE", start + 4)]
    if any(not 0 < size <= _LARGEST_PALETTE or size % 3 for size in palettes):
        raise BrokenPicture
    return b"".join((data[:8], *(data[start:end] for start, end in needed)))


def _alpha(image: Image.Image, key: int | tuple[int, ...], depth: int, file: bytes) -> Image.Image:
    """0 where the picture has the transparent colour, which is counted in the file's own levels, else 255."""
    if depth == _DEEP and image.mode == "RGB":  # Pillow has dropped the lower halves
        layers = np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED))
        return Image.fromarray(np.where(layers[..., 3], _SOLID, _CLEAR))
    levels = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode == "L" and depth < 8:
        key = np.multiply(key, 255 // (2**depth - 1))
    return Image.fromarray(np.where((levels == key).reshape(*levels.shape[:2], -1).all(-1), _CLEAR, _SOLID))
