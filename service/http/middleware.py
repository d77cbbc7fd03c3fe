"""Wraps every request: its id and record, the limit on its body, and a last net for what nobody caught.

Plain ASGI, so that streaming and the disconnect message pass through untouched.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from random import getrandbits
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InvalidRequest, NotFound, PayloadTooLarge, ServiceError, UnsupportedMedia
from service.http.body_budget import BodyBudget, Share
from service.http.problems import problem
from service.telemetry.record import PROBES, Record

log: Final = logging.getLogger("vtv.guard")
_MOST_DIGITS: Final = 18
"""Of a length in bytes; Python reads no number of thousands."""
_OTHER_HOST: Final = "This server is not known by the name in the Host header: VTV_ALLOWED_HOSTS lists its names."
_COMPRESSED: Final = "Compressed requests are not understood."
_MOST_PARAMETERS, _LONGEST_PATH = 100, 1024
"""Of an address: the framework takes a query apart for every route, and a path for each that may be meant. All that is
served has far fewer and shorter ones."""
_STEP: Final = 1 << 20
"""Bytes by which a body of unknown length is counted."""
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestGuard:
    """Gives each reply an X-Request-ID, the caller's own where it is sane, and refuses oversized bodies.

    Each finished request's record goes to all of `sinks`, in their order.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        sinks: Sequence[Callable[[Record], None]],
        hosts: frozenset[str] = frozenset(),
        budget: BodyBudget | None = None,
    ) -> None:
        """`hosts` are the names that may be asked for, none for any; `budget` is that of the bodies in hand."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._sinks = sinks
        self._hosts = hosts
        self._budget = budget or BodyBudget(max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, scope = scope["method"], _routed(scope)
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        record = _record(method, scope, headers)
        record.attach(scope)
        body = _Body(receive, scope, headers, self._max_body_bytes, self._budget)
        try:
            await self._answer(scope, body.receive, send, record, self._is_ours(record, headers))
        finally:
            body.release()
            record.end()
            record.route = getattr(scope.get("route"), "path", "")
            for sink in self._sinks:
                sink(record)

    def _is_ours(self, record: Record, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request asks for this server, by a name that it has; probes go by addresses."""
        if not self._hosts or record.path in PROBES:
            return True
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.removesuffix(".")  # as the name server is asked
        return name in self._hosts

    async def _answer(self, scope: Scope, receive: Receive, send: Send, record: Record, ours: bool) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
            await send(message)

        try:
            if not ours:
                raise InvalidRequest(_OTHER_HOST)
            _check_address(scope)
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


def _check_address(scope: Scope) -> None:
    """Raises NotFound or InvalidRequest."""
    if len(scope["path"]) > _LONGEST_PATH:
        raise NotFound
    if scope["query_string"].count(b"&") >= _MOST_PARAMETERS:
        raise InvalidRequest(f"The address has more than {_MOST_PARAMETERS} query parameters.")


def _record(method: str, scope: Scope, headers: Mapping[bytes, bytes]) -> Record:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    trace = headers.get(b"traceparent")
    return Record(
        request_id=given if _SANE_ID.fullmatch(given) else f"{getrandbits(64):016x}",
        method=method,
        path=scope["raw_path"][:_LONGEST_PATH].decode("ascii", "backslashreplace"),
        traceparent=trace.decode("latin-1") if trace is not None else None,
    )


class _Body:
    """A request's body: refused as soon as it is known to pass a limit, and read when there is room for it."""

    def __init__(
        self, receive: Receive, scope: Scope, headers: Mapping[bytes, bytes], limit: int, budget: BodyBudget
    ) -> None:
        self._receive, self._limit, self._budget = receive, limit, budget
        self._headers = headers
        self._share = Share((scope.get("client") or ("",))[0])
        self._checked = False
        self._received = self._counted = 0

    async def receive(self) -> Message:
        """Raises UnsupportedMedia, InvalidRequest or PayloadTooLarge."""
        if not self._checked:
            self._checked = True
            await self._reserve(_declared(self._headers, self._limit))
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise PayloadTooLarge
        if self._received > self._counted:
            await self._reserve(self._received + _STEP)
        return message

    async def _reserve(self, length: int) -> None:
        """Count the body as so long."""
        self._counted = length
        size = self._budget.size_of(length, self._headers.get(b"content-type", b""))
        await self._budget.reserve(self._share, size)

    def release(self) -> None:
        """Nothing of it is in hand any more."""
        if self._share.size:
            self._budget.release(self._share)


def _declared(headers: Mapping[bytes, bytes], limit: int) -> int:
    """A body's length, 0 where it is not told."""
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise UnsupportedMedia(_COMPRESSED)
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise UnsupportedMedia(_COMPRESSED)
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise InvalidRequest("The Content-Length header is not a number.")
    digits = declared.lstrip(b"0")
    if len(digits) > _MOST_DIGITS or int(digits or b"0") > limit:
        raise PayloadTooLarge
    return int(digits or b"0")
