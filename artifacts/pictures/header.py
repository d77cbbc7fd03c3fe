"""Width and height from a file's first bytes, in plain Python: no library that could break sees the file for it."""

from itertools import islice
from typing import Final

from artifacts.pictures.metadata import jpeg_segments

FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's start-of-frame markers (ITU T.81, table B.1)."""
PROGRESSIVE: Final = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
ARITHMETIC: Final = frozenset(range(0xC9, 0xD0)) - {0xCC}
_NEAR: Final = 200
"""JPEG segments in which the frame's is looked for; cameras write a few, with a profile in parts some dozens."""


def jpeg_frame(data: bytes) -> tuple[int, int, int] | None:
    """Marker, width and height; None where they are not near the start."""
    for marker, start, end in islice(jpeg_segments(data), _NEAR):
        if marker in FRAMES and end - start >= 6:
            return marker, int.from_bytes(data[start + 3 : start + 5]), int.from_bytes(data[start + 1 : start + 3])
    return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG or WebP file; None where they cannot be told."""
    if data.startswith(b"\xff\xd8"):
        frame = jpeg_frame(data)
        return frame[1:] if frame else None
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if data.startswith(b"RIFF") and len(data) >= 30:
        return _webp_size(data)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Of the canvas (RFC 9649, 2.5 to 2.7)."""
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None
