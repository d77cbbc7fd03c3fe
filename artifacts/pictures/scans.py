"""Whether a JPEG holds all that its frame promises: of what no scan brings, a decoder silently makes gray or blocks."""

from collections.abc import Iterator
from typing import Final

from artifacts.pictures.header import FRAMES, PROGRESSIVE
from artifacts.pictures.metadata import jpeg_segments

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_COEFFICIENTS: Final = 64
"""Of a block."""
_UNSEEN: Final = 99
"""More bits than any coefficient has."""


def has_all_scans(data: bytes) -> bool:
    """Whether every component's every coefficient is there to its last bit; True where no frame is found to ask."""
    at, progressive = 2, False
    missing: dict[int, list[int]] = {}  # bits that are still to come, by component and coefficient
    for marker, start, end in jpeg_segments(data):
        at = end
        if marker in FRAMES:
            progressive = marker in PROGRESSIVE
            missing = {component: [_UNSEEN] * _COEFFICIENTS for component in data[start + 6 : end : 3]}
    if not missing:
        return True
    for components, *which in _scans(data, at):
        first, last, bits = which if progressive else (0, _COEFFICIENTS - 1, 0)
        for component in missing.keys() & set(components):
            missing[component][first : last + 1] = [bits] * (min(last, _COEFFICIENTS - 1) + 1 - first)
        if not any(map(any, missing.values())):
            return True
    return False


def _scans(data: bytes, at: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Of each scan its components, first and last coefficient, and how many bits of these it leaves to later scans
    (ITU T.81, B.2.3). Among a scan's own bits no marker can stand (B.1.1.5)."""
    ends: int | None = None
    while True:
        if not data.startswith(_SCAN, at):  # as the first one mostly does: then nothing has to be searched
            if ends is None:
                found = data.find(_END, at)
                ends = found if found >= 0 else len(data)
            at = data.find(_SCAN, at, ends)
            if at < 0:
                return
        at += 4
        count = data[at] if at < len(data) else 0
        rest = data[at + 1 + 2 * count : at + 4 + 2 * count]
        if len(rest) == 3:
            yield data[at + 1 : at + 1 + 2 * count : 2], rest[0], rest[1], rest[2] & 0xF
