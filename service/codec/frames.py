"""Messages between the server and its codec processes, on a stream socket: a head in JSON, and bytes behind it."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Message = tuple[dict[str, Any], list[bytes]]
"""Head and parts."""

_SIZES: Final = struct.Struct("<IQ")
"""Bytes of the head; of everything behind it."""
_PARTS: Final = "parts"


def framed(head: Mapping[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """A message as it is sent."""
    sizes = [len(part) for part in parts]
    text = json.dumps({**head, _PARTS: sizes}).encode()
    return b"".join((_SIZES.pack(len(text), sum(sizes)), text, *parts))


class Frames:
    """Bytes as they arrive to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Message]:
        """The messages that `data` completes."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        """None while it is not whole."""
        if len(self._buffer) < _SIZES.size:
            return None
        text, rest = _SIZES.unpack_from(self._buffer)
        at = _SIZES.size + text
        if len(self._buffer) < at + rest:
            return None
        parts = []
        with memoryview(self._buffer) as view:
            head: dict[str, Any] = json.loads(bytes(view[_SIZES.size : at]))
            for size in head.pop(_PARTS):
                parts.append(bytes(view[at : at + size]))
                at += size
        del self._buffer[:at]
        return head, parts
