"""One HTTP/1.1 connection for load generators: as little between the socket and the clock as possible.

A request is prepared once, as the bytes that go over the wire; of a reply only the status and the length are
read. So on a small machine the measured thing is the server and not the client.
"""

import asyncio
import re
import socket
from time import perf_counter
from typing import Final, Self, cast
from urllib.parse import urlsplit

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
LOST: Final = 0
"""The status of a request whose connection ended before the reply did."""


class Connection(asyncio.Protocol):
    """Asks one request at a time."""

    def __init__(self) -> None:
        self.head = b""
        self.body = b""
        """Of the last reply, as is `head`."""
        self.open = False
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[tuple[int, float]] | None = None
        self._received = bytearray()
        self._total = 0

    @classmethod
    async def to(cls, url: str, of: str | None = None) -> Self:
        """`of` is this machine's address that the server is to see. Raises OSError."""
        address, loop, own = urlsplit(url), asyncio.get_running_loop(), (of, 0) if of else None
        _, connection = await loop.create_connection(cls, address.hostname or "", address.port or 80, local_addr=own)
        return connection

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, float]]":
        """Send; the future gives the reply's status, LOST without one, and when it was complete."""
        self._reply = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.open:
            self._reply.set_result((LOST, perf_counter()))
            return self._reply
        self._received.clear()
        self._total = 0
        self._transport.write(request)
        return self._reply

    async def close(self) -> None:
        """Returns when the socket is closed."""
        if self._transport is not None:
            self._transport.close()
            await self._lost.wait()
            await asyncio.sleep(0)  # uvloop closes the socket itself one turn later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport, self.open = cast(asyncio.Transport, transport), True  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._total:
            head = self._received.find(_END_OF_HEAD)
            if head < 0:
                return
            found = _LENGTH.search(self._received, 0, head + 2)
            self._total = head + len(_END_OF_HEAD) + (int(found[1]) if found else 0)
        if len(self._received) >= self._total:
            self._end(int(self._received[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._lost.set()
        self._end(LOST)

    def _end(self, status: int) -> None:
        if self._reply is not None and not self._reply.done():
            head, _, body = self._received.partition(_END_OF_HEAD)
            self.head, self.body = (bytes(head), bytes(body)) if status else (b"", b"")
            self._reply.set_result((status, perf_counter()))
