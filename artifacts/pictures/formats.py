"""Which format a file is of, by its first bytes: never by its name or a declared type."""

import re
from typing import Final, Literal

from artifacts.pictures.errors import BrokenPicture, UnsupportedFormat

Format = Literal["png", "webp", "jpeg"]
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
"""Of names, where pictures are looked for among other files."""

_FOREIGN: Final = (
    *(b"GIF8", b"BM", b"8BPS", b"%PDF", b"%!PS", b"gimp xcf", b"qoif", b"FLIF", b"DDS ", b"icns", b"\x8aMNG"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, BigTIFF
    *(b"II\xbc\x01", b"IIRO", b"IIRS", b"IIU\0", b"FUJIFILMCCD-RAW"),  # JPEG XR, cameras' own
    *(b"\0\0\x01\0", b"\0\0\x02\0"),  # icons and cursors
    *(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cjP\x1a\x1a"),  # JPEG 2000
    *(b"\xff\x0a", b"\0\0\0\x0cJXL "),  # JPEG XL
    *(b"\x76\x2f\x31\x01", b"#?RADIANCE", b"#?RGBE", b"SIMPLE  =", b"/* XPM", b"AT&TFORM"),
)
"""Pictures in formats that are not read: it helps to be told so."""
_NETPBM: Final = re.compile(rb"P[1-7Ff][\s#]")
_BOX_TYPE: Final = slice(4, 8)
_HEAD: Final = 4096
"""Bytes in which an SVG's root element is looked for."""


def format_of(data: bytes) -> Format:
    """Raises UnsupportedFormat for pictures of another format, BrokenPicture for what is none."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    raise UnsupportedFormat if _is_foreign(data) else BrokenPicture


def _is_foreign(data: bytes) -> bool:
    # HEIF and AVIF are boxes of the kind that MP4 made known; an SVG is XML, by whatever way it begins.
    head = data[:_HEAD]
    is_svg = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") and b"<svg" in head
    return data.startswith(_FOREIGN) or data[_BOX_TYPE] == b"ftyp" or bool(_NETPBM.match(data)) or is_svg
