"""Frames between the server and its codec processes, on a stream socket: a small fixed head, and bytes behind it."""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct("<BBIQ")
"""Kind; how many parts; bytes of `about`; number."""
_LENGTHS: Final = tuple(struct.Struct(f"<{count}Q") for count in range(5))
"""Of so many parts."""


class Frame(NamedTuple):
    """What stands in the head changes with every frame; `about` hardly ever does, so both ends keep it read."""

    kind: int
    number: int
    about: bytes
    parts: Sequence[bytes] = ()


def framed(frame: Frame) -> bytes:
    """A frame as it is sent."""
    kind, number, about, parts = frame
    head = _HEAD.pack(kind, len(parts), len(about), number)
    return b"".join((head, _LENGTHS[len(parts)].pack(*map(len, parts)), about, *parts))


class Frames:
    """Bytes as they arrive to frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """The frames that `data` completes."""
        if not self._rest:
            frames, read = _cut(memoryview(data))
            self._rest += data[read:]
            return frames
        self._rest += data
        with memoryview(self._rest) as whole:
            frames, read = _cut(whole)
        del self._rest[:read]
        return frames


def _cut(data: memoryview) -> tuple[list[Frame], int]:
    """The whole frames that `data` begins with, and how many bytes they take."""
    frames = []
    at = 0
    while at + _HEAD.size <= len(data):
        kind, count, about, number = _HEAD.unpack_from(data, at)
        lengths = _LENGTHS[count]
        start = at + _HEAD.size + lengths.size
        if start > len(data):
            break
        sizes = lengths.unpack_from(data, at + _HEAD.size)
        end = start + about + sum(sizes)
        if end > len(data):
            break
        parts = []
        cut = start + about
        for size in sizes:
            parts.append(bytes(data[cut : cut + size]))
            cut += size
        frames.append(Frame(kind, number, bytes(data[start : start + about]), parts))
        at = end
    return frames, at
