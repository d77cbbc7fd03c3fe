"""Which format a file is of, by its first bytes: never by its name or a declared type."""

import re
import zlib
from contextlib import suppress
from typing import Final, Literal

from artifacts.pictures.errors import BrokenPicture, UnsupportedFormat

Format = Literal["png", "webp", "jpeg"]
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
"""Of names, where pictures are looked for among other files."""

_FOREIGN: Final = (
    *(
        b"GIF8",
        b"BM",
        b"8BPS",
        b"%PDF",
        b"%!PS",
        b"gimp xcf",
        b"qoif",
        b"FLIF",
        b"DDS ",
        b"icns",
        b"farbfeld",
        b"BPG\xfb",
    ),
    *(b"\x8aMNG", b"\x8bJNG"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, BigTIFF
    *(b"II\xbc\x01", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW"),  # JPEG XR, cameras' own
    *(b"II\x1a\0\0\0HEAP", b"FOVb", b"\0MRM"),
    *(b"\0\0\x01\0", b"\0\0\x02\0"),  # icons and cursors
    *(b"\xff\xd8\xff\xf7", b"\xff\x10\xff\x50"),  # JPEG-LS, JPEG XS
    *(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cjP\x1a\x1a"),  # JPEG 2000
    *(b"\xff\x0a", b"\0\0\0\x0cJXL "),  # JPEG XL
    *(
        b"\x76\x2f\x31\x01",
        b"#?RADIANCE",
        b"#?RGBE",
        b"SIMPLE  =",
        b"SDPX",
        b"XPDS",
        b"\x80\x2a\x5f\xd7",
    ),  # film, stars
    *(b"/* XPM", b"! XPM2", b"AT&TFORM", b"\x59\xa6\x6a\x95", b"\x01\xda\0\x01", b"\x01\xda\x01\x01"),
    *(b"\xc5\xd0\xd3\xc6", b"\xd7\xcd\xc6\x9a"),  # PostScript and Windows' drawings in a shell
    *(b"\xabKTX ", b"BLP1", b"BLP2", b"DanM", b"LinS"),
)
"""Pictures in formats that are not read: it helps to be told so."""
_FOREIGN_WITHIN: Final = ((4, b"ftyp"), (40, b" EMF"), (128, b"DICM"), (8, b"ILBM"), (8, b"PBM "), (8, b"ACON"))
"""The same, further in: HEIF and AVIF are boxes of the kind that MP4 made known."""
_BY_PATTERN: Final = re.compile(
    rb"P[1-7FfHh]4?\s|P[1-7]#"  # Netpbm
    rb"|\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08]"  # PCX
    rb"|\s*#define\s+\w*width\s"  # XBM
)
_SVG: Final = re.compile(rb"<(?:[\w.-]{1,100}:)?svg[\s>/]", re.IGNORECASE)
_HEAD: Final = 1 << 14
"""Bytes in which an SVG's root element is looked for."""


def format_of(data: bytes) -> Format:
    """Raises UnsupportedFormat for pictures of another format, BrokenPicture for what is none."""
    if data.startswith(b"\xff\xd8\xff") and not data.startswith(_FOREIGN):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    raise UnsupportedFormat if _is_foreign(data) else BrokenPicture


def _is_foreign(data: bytes) -> bool:
    within = any(data.startswith(mark, at) for at, mark in _FOREIGN_WITHIN)
    return data.startswith(_FOREIGN) or within or bool(_BY_PATTERN.match(data, 0, _HEAD)) or _is_svg(data)


def _is_svg(data: bytes) -> bool:
    """XML, in any encoding, packed or not, in which the element is found."""
    head = data[:_HEAD]
    if head.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    text = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    return text.lstrip().startswith(b"<") and bool(_SVG.search(text)) and b"<html" not in text.lower()
