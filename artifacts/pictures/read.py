"""Picture files to pixels, as a viewer shows them. The only reader of what users bring: service and commands use it.

Files are told apart by their content, never by a name or a declared type, and their header is checked against a pixel
limit before anything is decoded. Which library does what was chosen by measurement: `benchmarks/codecs.py` repeats it.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import simplejpeg
from PIL import Image

from artifacts.errors import OfflineError
from artifacts.pictures import metadata
from artifacts.pictures.errors import PILLOW_REFUSES, BrokenPicture, PictureError
from artifacts.pictures.formats import format_of
from artifacts.pictures.jpeg import read_jpeg
from artifacts.pictures.layers import flattened
from artifacts.pictures.limits import COMMANDS_LIMITS, PictureLimits
from artifacts.pictures.png import png_header, read_png
from engine.geometry import Pixels

# Pillow's own limit is a global that warns; `limits` below is checked in its place.
Image.MAX_IMAGE_PIXELS = None

_WEBP_BYTES: Final = 20
"""Bytes a pixel while a WebP file is decoded: its decoder keeps canvases of its own."""
_UPRIGHT: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, 3),
    7: lambda stored: np.rot90(stored.swapaxes(0, 1), 2),
    8: lambda stored: np.rot90(stored),
}
"""What undoes each EXIF orientation (Exif 2.32, tag 0x0112)."""


def read(data: bytes, limits: PictureLimits, at_least: int | None = None) -> Pixels:
    """Decode a JPEG, PNG or WebP file to RGB uint8 [H,W,3] in sRGB.

    Orientation is applied, transparency lies on white, colour profiles are followed. With `at_least`, a picture that
    will be resized to that many pixels a side may come scaled down already, as JPEG can be decoded much faster that
    way. Raises a PictureError: what a decoder raises on a broken file, which may be anything, is a BrokenPicture.
    """
    try:
        return _read(data, limits, at_least)
    except (PictureError, MemoryError):
        raise
    except Exception:
        raise BrokenPicture from None


def _read(data: bytes, limits: PictureLimits, at_least: int | None) -> Pixels:
    match format_of(data):
        case "jpeg":
            about = metadata.of_jpeg(data)
            stored = read_jpeg(data, about, limits, at_least)
        case "png":
            about = metadata.of_png(data)
            stored = read_png(data, about, limits)
        case "webp":
            image = _open_webp(data, limits)
            about = metadata.of_pillow(image)
            stored = _loaded(image, about)
    upright = _UPRIGHT.get(about.orientation)
    return stored if upright is None else np.ascontiguousarray(upright(stored))


def count_pixels(data: bytes, limits: PictureLimits) -> int:
    """Width times height, from the header. Raises a PictureError."""
    match format_of(data):
        case "jpeg":
            try:
                height, width, *_ = simplejpeg.decode_jpeg_header(data)
            except ValueError:
                raise BrokenPicture from None
        case "png":
            width, height, *_ = png_header(data)
        case "webp":
            width, height = _open_webp(data, limits).size
    return int(width * height)


def read_file(path: Path, at_least: int | None = None, limits: PictureLimits = COMMANDS_LIMITS) -> Pixels:
    """`read` of a command's file; raises OfflineError with its name."""
    return read_data(str(path), file_data(path), at_least, limits)


def file_data(path: Path) -> bytes:
    """What a command's file holds; raises OfflineError with its name."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OfflineError(f"{path} cannot be read: {error.strerror}") from None


def read_data(name: str, data: bytes, at_least: int | None = None, limits: PictureLimits = COMMANDS_LIMITS) -> Pixels:
    """`read` of what a command's file holds; raises OfflineError with its name."""
    try:
        return read(data, limits, at_least)
    except PictureError as error:
        raise OfflineError(f"{name} is not a picture that can be read: {error}") from None


def _open_webp(data: bytes, limits: PictureLimits) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=("WEBP",))
    except PILLOW_REFUSES:
        raise BrokenPicture from None
    limits.check(image.width, image.height, _WEBP_BYTES)
    return image


def _loaded(image: Image.Image, about: metadata.Metadata) -> Pixels:
    try:
        image.load()
    except PILLOW_REFUSES:
        raise BrokenPicture from None
    return flattened(image, about)
