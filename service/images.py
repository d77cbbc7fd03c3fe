"""Image files to pixels and back.

Files are told apart by their content, never by a name or a declared type, and their header is
checked against a pixel limit before anything is decoded.
"""

import io
import struct
import zlib
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import InvalidImage, UnsupportedMedia

# Pillow's own limit is a global that warns; `max_pixels` below is checked in its place.
Image.MAX_IMAGE_PIXELS = None

Pixels = NDArray[np.uint8]
ImageFormat = Literal["png", "webp", "jpeg"]

_READABLE: Final = ("JPEG", "PNG", "WEBP")
_FOREIGN_MAGIC: Final = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0", b"\xff\x0a", b"8BPS", b"%PDF")
_ENCODER_OPTIONS: Final[dict[str, dict[str, int]]] = {
    "png": {"compress_level": 1},
    "webp": {"quality": 90, "method": 0},
    "jpeg": {"quality": 92},
}
_TOO_MANY_PIXELS: Final = "An image has more pixels than this server accepts."
# What Pillow raises on files that are broken in one way or another.
_BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
# Scaled JPEG decoding keeps at least this many times the pixels needed, so that the resize that follows
# still sees detail to average: the result then differs from a full decode by less than JPEG noise.
_DRAFT_MARGIN: Final = 2


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """Read a file's header. Raises UnsupportedMedia for other image formats, InvalidImage for the rest."""
    try:
        image = Image.open(io.BytesIO(data), formats=_READABLE)
    except _BROKEN:
        if data.startswith(_FOREIGN_MAGIC) or data[4:8] == b"ftyp":
            raise UnsupportedMedia("An image is neither JPEG, PNG nor WebP.") from None
        raise InvalidImage from None
    if image.width * image.height > max_pixels:
        raise InvalidImage(_TOO_MANY_PIXELS)
    return image


def read(data: bytes, max_pixels: int, at_least: int | None = None) -> Image.Image:
    """Decode a JPEG, PNG or WebP file to an RGB picture as a viewer shows it.

    EXIF orientation is applied, transparency lies on white. With `at_least`, a picture that will be resized
    to that many pixels a side may come scaled down already, as JPEG can be decoded much faster that way.
    Raises InvalidImage or UnsupportedMedia.
    """
    image = open_image(data, max_pixels)
    if at_least is not None:
        image.draft("RGB", (at_least * _DRAFT_MARGIN, at_least * _DRAFT_MARGIN))
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN:
        raise InvalidImage from None


def from_pixels(pixels: Pixels, max_pixels: int) -> Image.Image:
    """RGB [H, W, 3] uint8 as a picture. Raises InvalidImage beyond the limit."""
    if pixels.shape[0] * pixels.shape[1] > max_pixels:
        raise InvalidImage(_TOO_MANY_PIXELS)
    return Image.fromarray(pixels)


def resized(image: Image.Image, side: int) -> Pixels:
    """An RGB picture as a square [side, side, 3] uint8: bicubic with antialiasing, aspect not kept, as the
    paper prepares its cells."""
    return np.array(image.resize((side, side), Image.Resampling.BICUBIC))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode Pillow decodes these formats to -> RGB, transparent pixels on white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _from_wide_gray(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _from_wide_gray(image: Image.Image) -> Image.Image:
    """16-bit gray -> RGB. Pillow's own conversion clips at 255 where it should scale."""
    wide = np.asarray(image).astype(np.uint32)
    narrow = ((wide * 255 + 32_767) // 65_535).astype(np.uint8)
    return Image.fromarray(narrow).convert("RGB")


def encode(pixels: Pixels, file_format: ImageFormat) -> bytes:
    """[H, W, 3] uint8 -> a file, at each format's fast setting."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format.upper(), **_ENCODER_OPTIONS[file_format])
    return buffer.getvalue()
