"""Pixels to picture files, at each format's fast setting."""

import io
from pathlib import Path
from typing import Final

import simplejpeg
from PIL import Image

from artifacts.errors import OfflineError
from artifacts.pictures.formats import Format
from artifacts.pictures.write_png import write_png
from engine.geometry import Pixels

_WEBP_OPTIONS: Final = {"quality": 90, "method": 0}
_JPEG_QUALITY: Final = 92
_BY_SUFFIX: Final[dict[str, Format]] = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}


def encode(pixels: Pixels, file_format: Format) -> bytes:
    """[H,W,3] uint8 -> a file."""
    match file_format:
        case "png":
            return write_png(pixels)
        case "jpeg":
            return bytes(simplejpeg.encode_jpeg(pixels, _JPEG_QUALITY, colorsubsampling="420"))
        case "webp":
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "WEBP", **_WEBP_OPTIONS)
            return buffer.getvalue()


def write_file(path: Path, pixels: Pixels) -> None:
    """[H,W,3] uint8 into a file of the format that its name says; raises OfflineError."""
    try:
        if file_format := _BY_SUFFIX.get(path.suffix.lower()):
            path.write_bytes(encode(pixels, file_format))
        else:
            Image.fromarray(pixels).save(path)
    except (OSError, ValueError) as error:
        raise OfflineError(f"{path} cannot be written: {error}") from None
