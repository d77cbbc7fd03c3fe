"""Wraps every request: its id, the limit on its body, and a last net for what nobody caught.

Plain ASGI, so that streaming and the disconnect message pass through untouched.
"""

import logging
import re
import secrets
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InvalidRequest, PayloadTooLarge, ServiceError, problem

log: Final = logging.getLogger("vtv.http")
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestGuard:
    """Gives each reply an X-Request-ID, the caller's own where it is sane, and refuses oversized bodies."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
                if message["status"] >= 400:
                    log.info("%s %s %s %d", request_id, scope["method"], scope["path"], message["status"])
            await send(message)

        try:
            await self._app(scope, _limited(receive, headers, self._max_body_bytes), send_with_id)
        except Exception as error:
            if not isinstance(error, ServiceError):
                log.exception("%s %s %s failed", request_id, scope["method"], scope["path"])
                error = ServiceError()
            if started:
                raise
            await problem(error, scope["path"])(scope, receive, send_with_id)


def _limited(receive: Receive, headers: Headers, limit: int) -> Receive:
    """`receive`, raising PayloadTooLarge as soon as the body is known to pass `limit` bytes."""
    declared = headers.get("content-length", "0")
    received = 0

    async def limited() -> Message:
        nonlocal received
        if not declared.isdecimal():
            raise InvalidRequest("The Content-Length header is not a number.")
        if int(declared) > limit:
            raise PayloadTooLarge
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise PayloadTooLarge
        return message

    return limited
