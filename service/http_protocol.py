"""uvicorn's HTTP protocol, writing each reply's head and body together.

They come as two writes, and for small replies the second system call, with what it wakes, costs as much as the rest
of the event loop's work on a request.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]


class _Gathering:
    """A transport that keeps what is written, until the end of the event loop's turn at most, for what follows it.

    What follows is sent at once: the log and the metrics come after a reply, and no client has to wait for them.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._written.append(data)
        if len(self._written) == 1:
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._written:
            self._transport.writelines(self._written)
            self._written = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
