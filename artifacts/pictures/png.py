"""PNG files to pixels."""

import io
import struct
from typing import Final

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from artifacts.pictures.errors import PILLOW_REFUSES, BrokenPicture, TooManyPixels
from artifacts.pictures.layers import flattened
from artifacts.pictures.metadata import Metadata, png_chunks
from engine.geometry import Pixels

_GRAY, _COLOUR = 0, 2
"""Of the header's colour types, those whose tRNS chunk names one colour that is transparent."""
_HEADER: Final = struct.Struct(">IIBB")
"""Width, height, bits a sample and colour type, 16 bytes into the file."""


def read_png(data: bytes, about: Metadata, max_pixels: int) -> Pixels:
    """RGB uint8 [H,W,3] as stored, in sRGB, on white; raises BrokenPicture or TooManyPixels."""
    width, height, depth, kind = png_header(data)
    if width * height > max_pixels:
        raise TooManyPixels
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
    return width, height, depth, kind


def _bare(data: bytes) -> bytes:
    """Without metadata: Pillow refuses a whole picture for a text that is too long, and for damaged ones."""
    needed = [(start, end) for kind, start, end in png_chunks(data) if kind[:1].isupper() or kind == b"tRNS"]
    return b"".join((data[:8], *(data[start:end] for start, end in needed)))


def _alpha(image: Image.Image, key: int | tuple[int, ...], depth: int, file: bytes) -> Image.Image:
    """0 where the picture has the transparent colour, which is counted in the file's own levels, else 255."""
    if depth == 16 and image.mode == "RGB":  # Pillow has dropped the lower halves
        layers = np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED))
        return Image.fromarray(np.where(layers[..., 3], 255, 0).astype(np.uint8))
    levels = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode == "L" and depth < 8:
        key = np.multiply(key, 255 // (2**depth - 1))
    return Image.fromarray(np.where((levels == key).reshape(*levels.shape[:2], -1).all(-1), 0, 255).astype(np.uint8))
