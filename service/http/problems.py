"""Errors as HTTP: RFC 9457 problem details."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import InvalidRequest, MethodNotAllowed, NotFound, ServiceError

_MEDIA_TYPE = "application/problem+json"


def problem(error: ServiceError, path: str = "") -> Response:
    """The reply for `error` to a request of `path`; under /v2 it has the member `error` that that protocol asks for."""
    body = {
        "type": f"urn:vtv:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extensions(),
        **({"error": error.detail} if path.startswith("/v2") else {}),
    }
    return Response(json.dumps(body), error.status, dict(error.headers), _MEDIA_TYPE)


def from_http_exception(error: HTTPException, methods: Sequence[str] = ()) -> ServiceError:
    """The framework's own refusals, in our words; `methods` are what the address takes."""
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.METHOD_NOT_ALLOWED:
            own = (error.headers or {}).get("Allow", "")
            return MethodNotAllowed(methods or (["GET", "HEAD"] if own == "GET" else [own]))
        case status if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return InvalidRequest()
        case _:
            return ServiceError()
