"""Image files to pixels and back.

Files are told apart by their content, never by a name or a declared type, and their header is
checked against a pixel limit before anything is decoded. Which library does what was chosen by
measurement: `benchmarks/codecs.py` repeats it.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch.nn import functional as F

from service.codec.png import write_png
from service.errors import InvalidImage, UnsupportedMedia

# Pillow's own limit is a global that warns; `max_pixels` below is checked in its place.
Image.MAX_IMAGE_PIXELS = None

Pixels = NDArray[np.uint8]
ImageFormat = Literal["png", "webp", "jpeg"]

_READABLE: Final = ("JPEG", "PNG", "WEBP")
_FOREIGN_MAGIC: Final = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\x01\0", b"\xff\x0a", b"8BPS", b"%PDF")
_JPEG_MAGIC: Final = b"\xff\xd8\xff"
_JPEG_COLOURS: Final = ("YCbCr", "RGB", "Gray")
_ORIENTATION_MARKS: Final = (b"Exif\0\0", b"tiff:Orientation")
"""A JPEG without these has no orientation; it is in Exif, or else in XMP."""
_TOO_MANY_PIXELS: Final = "An image has more pixels than this server accepts."
# What Pillow raises on files that are broken in one way or another.
_BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
# Scaled JPEG decoding keeps at least this many times the side needed, so that the resize that follows still
# sees detail to average: a photo of 320 px comes out within 47 to 52 dB of a full decode, its JPEG noise is 48 to 56.
_DRAFT_MARGIN: Final = 1.4
_DRAFT_SCALES: Final = (8, 4, 2)
"""Of these the decoder has vector code; it is slower at those between."""
_WEBP_OPTIONS: Final = {"quality": 90, "method": 0}
_JPEG_QUALITY: Final = 92
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


def read(data: bytes, max_pixels: int, at_least: int | None = None) -> Pixels:
    """Decode a JPEG, PNG or WebP file to RGB uint8 [H, W, 3], as a viewer shows it.

    EXIF orientation is applied, transparency lies on white. With `at_least`, a picture that will be resized
    to that many pixels a side may come scaled down already, as JPEG can be decoded much faster that way.
    Raises InvalidImage or UnsupportedMedia.
    """
    plain = _from_plain_jpeg(data, max_pixels, at_least)
    if plain is not None:
        return plain
    image = open_image(data, max_pixels)
    try:
        upright = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        pixels = _pixels(image, data, at_least)
    except _BROKEN:
        raise InvalidImage from None
    return pixels if upright is None else np.ascontiguousarray(upright(pixels))


def from_pixels(pixels: Pixels, max_pixels: int) -> Pixels:
    """RGB [H, W, 3] uint8 as memory that torch takes: it knows none that is read-only. Raises InvalidImage
    beyond the limit."""
    if pixels.shape[0] * pixels.shape[1] > max_pixels:
        raise InvalidImage(_TOO_MANY_PIXELS)
    return pixels if pixels.flags.writeable else pixels.copy()


def resized(pixels: Pixels, side: int) -> Pixels:
    """[H, W, 3] uint8 as a square [side, side, 3]: bicubic with antialiasing, aspect not kept, as the paper
    prepares its cells.

    The same filter as Pillow's to within one grey level, in a fifth of its time.
    """
    if pixels.shape == (side, side, 3):
        return pixels
    # In this order torch sees that the channels come last, which it is twice as fast with.
    planes = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    out = F.interpolate(planes, (side, side), mode="bicubic", align_corners=False, antialias=True)
    square: Pixels = out[0].permute(1, 2, 0).contiguous().numpy()
    return square


def _pixels(image: Image.Image, data: bytes, at_least: int | None) -> Pixels:
    """The stored picture as RGB, its orientation not looked at."""
    if image.format == "JPEG" and image.mode in ("RGB", "L"):
        try:
            return _from_jpeg(data, image.width, image.height, at_least)
        except ValueError:
            pass  # what a strict decoder objects to Pillow may still read
    if at_least is not None:
        enough = round(at_least * _DRAFT_MARGIN)
        image.draft(None, (enough, enough))
    image.load()
    return np.array(_to_rgb(image))


def _from_plain_jpeg(data: bytes, max_pixels: int, at_least: int | None) -> Pixels | None:
    """A JPEG that lies as it is stored; None for any other file. Pillow takes half as long to open a small one as
    decoding it does."""
    if not data.startswith(_JPEG_MAGIC) or any(mark in data for mark in _ORIENTATION_MARKS):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in _JPEG_COLOURS:
            return None
        if height * width > max_pixels:
            raise InvalidImage(_TOO_MANY_PIXELS)
        return _from_jpeg(data, width, height, at_least)
    except ValueError:
        return None


def _from_jpeg(data: bytes, width: int, height: int, at_least: int | None) -> Pixels:
    shortest = min(width, height)
    enough = shortest if at_least is None else at_least * _DRAFT_MARGIN
    scale = next((scale for scale in _DRAFT_SCALES if shortest >= scale * enough), 1)
    pixels: Pixels = simplejpeg.decode_jpeg(data, min_height=-(-height // scale), min_width=-(-width // scale))
    return pixels


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
    match file_format:
        case "png":
            return write_png(pixels)
        case "jpeg":
            return bytes(simplejpeg.encode_jpeg(pixels, _JPEG_QUALITY, colorsubsampling="420"))
        case "webp":
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "WEBP", **_WEBP_OPTIONS)
            return buffer.getvalue()
