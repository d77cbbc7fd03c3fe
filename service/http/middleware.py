"""Wraps every request: its id and record, the limit on its body, and a last net for what nobody caught.

Plain ASGI, so that streaming and the disconnect message pass through untouched.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from random import getrandbits
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InvalidRequest, PayloadTooLarge, ServiceError, UnsupportedMedia
from service.http.problems import problem
from service.telemetry.record import Record

log: Final = logging.getLogger("vtv.guard")
_MOST_DIGITS: Final = 18
"""Of a length in bytes; Python reads no number of thousands."""
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestGuard:
    """Gives each reply an X-Request-ID, the caller's own where it is sane, and refuses oversized bodies.

    Each finished request's record goes to all of `sinks`, in their order.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, sinks: Sequence[Callable[[Record], None]]) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._sinks = sinks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, scope = scope["method"], _routed(scope)
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        record = _record(method, scope, headers)
        record.attach(scope)
        try:
            await self._answer(scope, _limited(receive, headers, self._max_body_bytes), send, record)
        finally:
            record.end()
            record.route = getattr(scope.get("route"), "path", "")
            for sink in self._sinks:
                sink(record)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if not isinstance(error, ServiceError):
                log.exception("%s %s failed, request %s", record.method, record.path, record.request_id)
                error = ServiceError()
            record.code = error.code
            if record.status:
                raise
            await problem(error, scope["path"])(scope, receive, send_with_id)


def _routed(scope: Scope) -> Scope:
    """As a route is looked for: HEAD is a GET of which the server sends the head alone, and an address means the same
    with a slash at its end. The framework's redirect would forget the prefix that a proxy has taken away."""
    method, path = scope["method"], scope["path"]
    if method != "HEAD" and (path == "/" or not path.endswith("/")):
        return scope
    return {**scope, "method": "GET" if method == "HEAD" else method, "path": path.rstrip("/") or "/"}


def _record(method: str, scope: Scope, headers: Mapping[bytes, bytes]) -> Record:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    trace = headers.get(b"traceparent")
    return Record(
        request_id=given if _SANE_ID.fullmatch(given) else f"{getrandbits(64):016x}",
        method=method,
        path=scope["raw_path"].decode("ascii", "backslashreplace"),
        traceparent=trace.decode("latin-1") if trace is not None else None,
    )


def _limited(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> Receive:
    """`receive`, raising PayloadTooLarge as soon as the body is known to pass `limit` bytes."""
    declared = headers.get(b"content-length", b"0")
    compressed = headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b"")
    received = 0

    async def limited() -> Message:
        nonlocal received
        if compressed:
            raise UnsupportedMedia("Compressed requests are not understood.")
        if not declared.isdigit():
            raise InvalidRequest("The Content-Length header is not a number.")
        digits = declared.lstrip(b"0")
        if len(digits) > _MOST_DIGITS or int(digits or b"0") > limit:
            raise PayloadTooLarge
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise PayloadTooLarge
        return message

    return limited
