"""PNG files to pixels."""

import io
import struct
import zlib
from typing import Final

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from artifacts.pictures.errors import PILLOW_REFUSES, BrokenPicture
from artifacts.pictures.layers import flattened
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.metadata import Metadata, png_chunks
from artifacts.pictures.write_png import chunk
from engine.geometry import Pixels

_GRAY, _COLOUR, _PALETTE, _DEEP = 0, 2, 3, 16
"""Of the header's colour types, two whose tRNS chunk names one colour that is transparent, and one whose has a value
for each entry of the palette; bits a sample."""
_CLEAR, _SOLID = np.uint8(0), np.uint8(255)
_BYTES_A_PIXEL: Final = 9
"""While it is decoded: four in Pillow, three of the picture, some in strips."""
_BYTES_OF_KEYED: Final = 26
"""The same where one colour of 16 bits is transparent, which takes a second decoder."""
_LARGEST_PALETTE: Final = 3 * 256
"""Bytes."""
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""A pixel's, by colour type."""
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row of each pass, and the steps to the next ones."""
_ONE_PASS: Final = ((0, 0, 1, 1),)
_INTERLACING: Final = 28
"""Where the header says whether there are passes."""
_MARK: Final = (171, 59, 92, 41)
"""A colour by its bands."""
_PIECE: Final = 1 << 20
"""Bytes that are inflated at once."""
_HEADER: Final = struct.Struct(">IIBB")
"""Width, height, bits a sample and colour type, 16 bytes into the file."""


def read_png(data: bytes, about: Metadata, limits: PictureLimits) -> Pixels:
    """RGB uint8 [H,W,3] as stored, in sRGB, on white; raises BrokenPicture or TooLarge."""
    width, height, depth, kind = png_header(data)
    keyed = kind in (_GRAY, _COLOUR) and depth == _DEEP and b"tRNS" in data
    limits.check(width, height, _BYTES_OF_KEYED if keyed else _BYTES_A_PIXEL)
    bare = _bare(data)
    try:
        image = _Watched(io.BytesIO(bare))
        image.load()
    except PILLOW_REFUSES:
        raise BrokenPicture from None
    if not image.has_last_row():
        _check_stream(bare)
    alpha = None
    if kind in (_GRAY, _COLOUR) and (key := image.info.get("transparency")) is not None:
        alpha = _alpha(image, key, depth, bare)
    return flattened(image, about, alpha)


class _Watched(PngImageFile):
    """A file that can tell whether its last row was read: Pillow leaves rows black that the stream does not hold, and
    is silent."""

    def load_prepare(self) -> None:
        """What comes before the pixels: the row that is written last gets a colour that no picture has."""
        super().load_prepare()
        ink = _MARK[0] if len(self.getbands()) == 1 else _MARK[: len(self.getbands())]
        self._mark = Image.new(self.mode, (self.width, 1), ink)
        self.im.paste(self._mark.im, self._last_row())

    def _last_row(self) -> tuple[int, int, int, int]:
        """Its box. Of an interlaced file's passes the last one holds the odd rows."""
        height = self.height // 2 * 2 if self.info.get("interlace") else self.height
        return 0, max(0, height - 1), self.width, max(1, height)

    def has_last_row(self) -> bool:
        """False of a whole picture, too, if it has just that colour there."""
        return self.crop(self._last_row()).tobytes() != self._mark.tobytes()


def _check_stream(file: bytes) -> None:
    """Raises BrokenPicture where the pixels' stream ends before their last row."""
    missing = _stream_size(*png_header(file), interlaced=file[_INTERLACING] != 0)
    inflate = zlib.decompressobj()
    for kind, start, end in png_chunks(file):
        packed = file[start + 8 : end - 4] if kind == b"IDAT" else b""
        while packed and missing > 0:
            missing -= len(inflate.decompress(packed, _PIECE))
            packed = inflate.unconsumed_tail
    if missing > len(inflate.flush()):
        raise BrokenPicture


def _stream_size(width: int, height: int, depth: int, kind: int, interlaced: bool) -> int:
    """Bytes that all rows take, each with a byte for its filter (PNG, third edition, 7.2 and 8)."""
    bits = depth * _SAMPLES[kind]
    total = 0
    for left, top, right, down in _ADAM7 if interlaced else _ONE_PASS:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 else 0
    return total


def png_header(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits a sample and colour type; raises BrokenPicture."""
    if len(data) < 16 + _HEADER.size:
        raise BrokenPicture
    width, height, depth, kind = _HEADER.unpack_from(data, 16)
    if not width or not height or data[12:16] != b"IHDR":
        raise BrokenPicture
    return width, height, depth, kind


def _bare(data: bytes) -> bytes:
    """Without metadata, for which Pillow refuses a whole picture where it is long or damaged, and without what makes no
    sense as transparency, for which viewers show the picture. Raises BrokenPicture for a palette that is none, which
    Pillow fills up with black."""
    _, _, depth, kind = png_header(data)
    kept, palette, transparent = [data[:8]], 0, False
    for name, start, end in png_chunks(data):
        if name == b"PLTE":
            if kind != _PALETTE:
                continue  # a suggestion
            size = end - start - 12
            if palette or not 0 < size <= _LARGEST_PALETTE or size % 3:
                raise BrokenPicture
            palette = size // 3
        elif name == b"tRNS":
            if transparent or not (fitting := _transparency(data[start + 8 : end - 4], depth, kind, palette)):
                continue
            transparent = True
            kept.append(fitting)
            continue
        elif not name[:1].isupper():
            continue
        kept.append(data[start:end])
    return b"".join(kept)


def _transparency(body: bytes, depth: int, kind: int, palette: int) -> bytes:
    """A tRNS chunk as viewers understand it: empty where its length is not right or it comes too early; of a colour,
    the bits that the samples have."""
    if kind == _PALETTE:
        return b"".join(chunk(b"tRNS", body[:palette])) if body[:palette] else b""
    if len(body) != {_GRAY: 2, _COLOUR: 6}.get(kind):
        return b""
    levels = np.frombuffer(body, ">u2") & (2**depth - 1)
    return b"".join(chunk(b"tRNS", levels.astype(">u2").tobytes()))


def _alpha(image: Image.Image, key: int | tuple[int, ...], depth: int, file: bytes) -> Image.Image:
    """0 where the picture has the transparent colour, which is counted in the file's own levels, else 255."""
    if depth == _DEEP and image.mode == "RGB":  # Pillow has dropped the lower halves
        layers = np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED))
        return Image.fromarray(np.where(layers[..., 3], _SOLID, _CLEAR))
    levels = np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.mode == "L" and depth < 8:
        key = np.multiply(key, 255 // (2**depth - 1))
    return Image.fromarray(np.where((levels == key).reshape(*levels.shape[:2], -1).all(-1), _CLEAR, _SOLID))
