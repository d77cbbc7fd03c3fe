"""Wraps every request: its id and record, the limit on its body, and a last net for what nobody caught.

Plain ASGI, so that streaming and the disconnect message pass through untouched.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from random import getrandbits
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InvalidRequest, PayloadTooLarge, ServiceError
from service.http.problems import problem
from service.telemetry.record import Record

log: Final = logging.getLogger("vtv.guard")
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
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        record = _record(scope, headers)
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


def _record(scope: Scope, headers: Mapping[bytes, bytes]) -> Record:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    trace = headers.get(b"traceparent")
    return Record(
        request_id=given if _SANE_ID.fullmatch(given) else f"{getrandbits(64):016x}",
        method=scope["method"],
        path=scope["raw_path"].decode("ascii", "backslashreplace"),
        traceparent=trace.decode("latin-1") if trace is not None else None,
    )


def _limited(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> Receive:
    """`receive`, raising PayloadTooLarge as soon as the body is known to pass `limit` bytes."""
    declared = headers.get(b"content-length", b"0")
    received = 0

    async def limited() -> Message:
        nonlocal received
        if not declared.isdigit():
            raise InvalidRequest("The Content-Length header is not a number.")
        if int(declared) > limit:
            raise PayloadTooLarge
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise PayloadTooLarge
        return message

    return limited
