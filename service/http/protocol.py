"""uvicorn's HTTP protocol with limits on what a connection costs, writing each reply's head and body together.

uvicorn itself limits neither headers nor the time that they take; its own limit on connections answers 503 to whoever
comes last. Here is what it lacks, in a subclass: `service/http/connections.py` says which connection has to go.

Head and body come as two writes, and for small replies the second system call, with what it wakes, costs as much as the
rest of the event loop's work on a request.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final, NoReturn

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.connection_limits import Reason
from service.http.connections import Connections, Waits

_REPLIES: Final[dict[Reason, tuple[HTTPStatus, str]]] = {
    "header_size": (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too many, or too long."),
    "header_time": (HTTPStatus.REQUEST_TIMEOUT, "The request's headers did not come in time."),
    "body_time": (HTTPStatus.REQUEST_TIMEOUT, "The request's body did not come in time."),
    "malformed": (HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request."),
    "tiny_chunks": (HTTPStatus.BAD_REQUEST, "The request's body comes in chunks that hold next to nothing."),
    "pipelined": (HTTPStatus.BAD_REQUEST, "Too many requests were sent before their answers were read."),
    "draining": (HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping."),
    "full": (HTTPStatus.SERVICE_UNAVAILABLE, "The server has too many connections open."),
}
_MOST_PIPELINED: Final = 100
"""Requests of one connection that wait for the one before them."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_LEAST_READ: Final = 1 << 20
"""Bytes of an answer that a client reads in the time that a body may take, where it does not read the rest: what is
unread is kept, 27 MB of a large picture."""
_FREE_PIECES: Final = 100_000
_LEAST_PIECE: Final = 32
"""Bytes that a body's pieces hold on average where there are more than `_FREE_PIECES`: one of 1-byte chunks would keep
the event loop busy for half a second each megabyte."""


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`, with what all connections share given by `functools.partial`."""

    def __init__(self, *arguments: Any, shared: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._shared = shared
        self._limits = self._shared.limits
        self._head_bytes = self._beside_body = self._body_pieces = self._body_bytes = self._unread = 0
        self._arrived: list[bytes] = []
        self._in_head = self._in_body = False
        self._wishes_other_protocol = False
        self._refused: Reason | None = None
        self.peer = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop, self.tasks))  # type: ignore[arg-type]
        self.peer = self.client[0] if self.client else ""
        self._shared.opened(self, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_body:
            self._beside_body += len(data)
        else:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing():
            return
        length = self._head_bytes if self._in_head else self._beside_body
        if length > self._limits.header_bytes:
            self._shared.drop(self, "header_size")
        else:
            self._shared.waits(self, self._awaited(), self.loop.time())

    def _parse(self, data: bytes) -> None:
        """Its requests are begun. One that wishes for another protocol, where the parser stops, goes in again without
        that wish: it is no error, and is answered in this protocol, body and all."""
        while data:
            try:
                self.parser.feed_data(data)
                self._pass_on()
                return
            except httptools.HttpParserError:
                self.send_400_response("")
                return
            except httptools.HttpParserUpgrade as stopped:
                data = self._head_again() + data[stopped.args[0] :]

    def _head_again(self) -> bytes:
        """A head as it came, but for the other protocol."""
        asked = self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()
        kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join((asked, *kept, b"", b""))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._wishes_other_protocol = True, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Spaces behind a value are none of it (RFC 9112, 5).

        The parser stops at one too many: a piece of 64 kB may hold ten thousand, which would hold up everybody."""
        if len(self.headers) >= self._limits.headers:
            self._refuse("header_size")
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        too_long = self._head_bytes > self._limits.header_bytes and self._head_size() > self._limits.header_bytes
        if too_long:
            self._refuse("header_size")
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._refuse("pipelined")
        if self.parser.get_method() == b"CONNECT" or [name for name, _ in self.headers].count(b"host") > 1:
            self._refuse("malformed")
        self._wishes_other_protocol = self.parser.should_upgrade()
        if not self._wishes_other_protocol:
            self._in_head, self._in_body, self._beside_body = False, True, 0
            self._body_pieces = self._body_bytes = 0
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What is no body, trailers and the chunks' own lines, has the same limit as a head between two pieces."""
        self._beside_body = 0
        self._body_pieces += 1
        self._body_bytes += len(body)
        if self._body_pieces > _FREE_PIECES and self._body_bytes < self._body_pieces * _LEAST_PIECE:
            self._refuse("tiny_chunks")
        self._arrived.append(body)

    def _pass_on(self) -> None:
        """A body's pieces that came together: to join each to what was there before would copy that every time."""
        if self._arrived:
            body = self._arrived[0] if len(self._arrived) == 1 else b"".join(self._arrived)
            self._arrived.clear()
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._pass_on()
        if not self._wishes_other_protocol:
            self._in_body, self._head_bytes, self._beside_body = False, 0, 0
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._shared.waits(self, self._awaited(), self.loop.time())

    def pause_writing(self) -> None:
        """The client does not read what was written as fast as it came."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._shared.waits(self, self._awaited(), self.loop.time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._shared.waits(self, self._awaited(), self.loop.time())

    def reads_on(self) -> bool:
        """As `Connection.reads_on`."""
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        return before - self._unread >= _LEAST_READ

    def send_400_response(self, msg: str) -> None:
        """The parser's refusal, in our words."""
        self._shared.drop(self, self._refused or "malformed")

    def _refuse(self, reason: Reason) -> NoReturn:
        """The parser stops, nothing is begun, and `send_400_response` is called."""
        self._refused = reason
        raise httptools.HttpParserError

    def _head_size(self) -> int:
        """Bytes of the address and the headers; a body's first ones came with them."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def drop(self, reason: Reason) -> None:
        """As `Connection.drop`. Nothing is written into the middle of a reply. What is closed waits until everything
        was read, so where nothing is, it is broken off."""
        if self.transport.get_write_buffer_size():
            self._break_off()
            return
        if self.transport.is_closing():
            return
        replying = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not replying and reason in _REPLIES:
            self.transport.write(_reply(reason))
        self.transport.close()

    def _break_off(self) -> None:
        """Nor does the system keep what it has taken over to send."""
        if (connection := self.transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _awaited(self) -> Waits | None:
        """What is to come from the client before the server has something to do."""
        if self.flow.write_paused:
            return Waits.READING
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if self._in_head:
            return Waits.FIRST_HEADER if cycle is None else Waits.HEADER
        if self._in_body:
            return Waits.BODY
        if cycle is None:
            return Waits.FIRST_HEADER
        return Waits.NEXT_REQUEST if cycle.response_complete else None


def _reply(reason: Reason) -> bytes:
    status, detail = _REPLIES[reason]
    code = "not_ready" if status is HTTPStatus.SERVICE_UNAVAILABLE else "invalid_request"
    problem = {
        "type": f"urn:vtv:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    body = json.dumps(problem).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


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
        if self._written and not self._transport.is_closing():
            self._transport.writelines(self._written)
        self._written = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
