"""Messages between the server and its codec processes: pickles behind their length, on a stream socket.

Both ends are this program's own: nothing that a client sent is ever unpickled, it only lies in messages as bytes.
"""

import pickle
import struct
from collections.abc import Iterator
from typing import Any, Final

_LENGTH: Final = struct.Struct("<Q")


def framed(message: object) -> bytes:
    """A message as it is sent."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Bytes as they arrive to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Any]:
        """The messages that `data` completes."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Any:
        """None while it is not whole; no message is None."""
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view, view[_LENGTH.size : end] as body:
            message = pickle.loads(body)
        del self._buffer[:end]
        return message
