"""What a file says about its pixels: which way up, and in which colours.

Read here rather than by the library that decodes, since damaged metadata is not a damaged picture: whatever cannot be
understood counts as not said.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import ExifTags, Image

from artifacts.pictures.errors import TooManyParts

_MOST_PARTS: Final = 20_000
"""Chunks or segments: cameras write dozens, encoders that cut PNG into small pieces some thousands."""
_PROFILE_LIMIT: Final = 4 << 20
"""Bytes; those of printers, the largest, take one or two million."""
_XMP_ORIENTATION: Final = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_GAMMAS: Final = range(16, 625_000_001)
"""Those that libpng, and so every viewer, believes."""
_CODED: Final[dict[bytes, tuple[float | None, tuple[float, ...] | None]]] = {
    b"\x01\x0d\0\x01": (None, None),
    b"\x0c\x0d\0\x01": (0.45455, (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
}
"""Gamma and primaries of the colour spaces that PNG's cICP gives by number (ITU-T H.273): sRGB, and Display P3."""
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_APP1, _APP2, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xE2, 0xDA, 0xD9


@dataclass(frozen=True, slots=True)
class Metadata:
    """Empty or None is what a file does not say."""

    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    """ICC profile."""
    gamma: float | None = None
    """Of PNG: the exponent that samples in [0, 1] were made with from light (gAMA)."""
    primaries: tuple[float, ...] | None = None
    """Of PNG: x and y of white, red, green and blue (cHRM)."""

    @property
    def orientation(self) -> int:
        """1 to 8 (Exif 2.32, tag 0x0112): Exif's, else XMP's; 1 is upright."""
        said: object = None
        if self.exif:
            try:
                exif = Image.Exif()
                exif.load(self.exif)
                said = exif.get(ExifTags.Base.Orientation)
            except Exception:  # there is no end to what may be wrong with it, nor to what the library then raises
                said = None
        if said is None and (match := _XMP_ORIENTATION.search(self.xmp)):
            said = int(match[1])
        return said if isinstance(said, int) and said in range(1, 9) else 1


def of_jpeg(data: bytes) -> Metadata:
    """From the segments before the first scan."""
    exif = xmp = b""
    profile: dict[int, bytes] = {}
    for marker, start, end in jpeg_segments(data):
        if marker == _APP1 and data.startswith(_EXIF, start):
            exif = exif or data[start + len(_EXIF) : end]
        elif marker == _APP1 and data.startswith(_XMP, start):
            xmp = data[start + len(_XMP) : end]
        elif marker == _APP2 and data.startswith(_ICC, start) and start + len(_ICC) + 2 <= end:
            number = data[start + len(_ICC)]  # of a part, from 1; then how many there are
            profile[number] = data[start + len(_ICC) + 2 : end]
    return Metadata(exif, xmp, b"".join(profile[number] for number in sorted(profile)))


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, and where its payload starts and ends, up to the first scan; of what is in thousands of pieces, the first
    ones. What stands between segments is passed over, as decoders do."""
    at = 2
    for _ in range(_MOST_PARTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return
        marker = data[at + 1]
        if marker in (0x00, 0xFF):  # no marker, and fill
            at += 1
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield marker, at + 4, end
        at = end


def of_png(data: bytes) -> Metadata:
    """From its chunks; of two ways to give colours the better one counts (PNG, third edition, 13.13)."""
    chunks: dict[bytes, bytes] = {}
    xmp = b""
    for kind, start, end in png_chunks(data):
        if kind in (b"eXIf", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            chunks.setdefault(kind, data[start + 8 : end - 4])
        elif kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0\0", start + 8):
            xmp = data[start + 8 : end - 4]
    if (coded := _CODED.get(chunks.get(b"cICP", b""))) is not None:
        return Metadata(chunks.get(b"eXIf", b""), xmp, b"", *coded)
    icc = _inflated(chunks.get(b"iCCP", b""))
    gamma = primaries = None
    if not icc and b"sRGB" not in chunks and len(chunks.get(b"gAMA", b"")) == 4:
        hundred_thousandths = int.from_bytes(chunks[b"gAMA"])
        gamma = hundred_thousandths / 1e5 if hundred_thousandths in _GAMMAS else None
        if len(chunks.get(b"cHRM", b"")) == 32:
            primaries = tuple(value / 1e5 for value in struct.unpack(">8I", chunks[b"cHRM"]))
    return Metadata(chunks.get(b"eXIf", b""), xmp, icc, gamma, primaries)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the chunk starts and ends, its length and checksum included. The last one may be cut. Raises
    TooManyParts."""
    at = 8
    for _ in range(_MOST_PARTS):
        if at + 8 > len(data):
            return
        end = at + 12 + int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], at, end
        at = end
    raise TooManyParts


def of_pillow(image: Image.Image) -> Metadata:
    """What Pillow found, of WebP."""
    found = {name: image.info.get(name) for name in ("exif", "xmp", "icc_profile")}
    exif, xmp, icc = (value if isinstance(value, bytes) else b"" for value in found.values())
    return Metadata(exif, xmp, icc)


def _inflated(chunk: bytes) -> bytes:
    """The profile of an iCCP chunk: a name, a zero, the compression method 0, and the profile, compressed."""
    _, _, packed = chunk.partition(b"\0\0")
    try:
        inflate = zlib.decompressobj()
        profile = inflate.decompress(packed, _PROFILE_LIMIT)
        return profile if inflate.eof else b""
    except zlib.error:
        return b""
