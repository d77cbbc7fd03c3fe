"""uvicorn's HTTP protocol, writing each reply's head and body together.

They come as two writes, and for small replies the second system call, with what it wakes, costs as much as the rest
of the event loop's work on a request.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop, self.tasks))  # type: ignore[arg-type]


class _Gathering:
    """A transport that keeps what is written, until the end of the event loop's turn at most, for what follows it.

    What follows is sent at once where this is the only request: its client does not wait for the log. Where there
    are more, the loop does what it has to do before it wakes a client.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, requests: Collection[object]
    ) -> None:
        """`requests` are those of the whole server."""
        self._transport = transport
        self._loop = loop
        self._requests = requests
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._written.append(data)
        if len(self._written) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._requests) == 1:
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
