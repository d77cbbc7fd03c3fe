"""API keys: who may ask for answers, and who may change what can be asked for."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers

from service.errors import Unauthorized
from service.settings import PREFIX, Settings

BEARER: Final = HTTPBearer(scheme_name="bearer", auto_error=False)
API_KEY: Final = APIKeyHeader(name="X-API-Key", scheme_name="api_key", auto_error=False)
SECURITY: Final[list[dict[str, Any]]] = [{"bearer": []}, {"api_key": []}]
"""Either of the two, for the description of an operation."""

_NO_ADMIN_KEY: Final = (
    f"This server takes no changes: it was started without an admin key. Set {PREFIX}ADMIN_KEY to allow them."
)


class Authenticator:
    """Checks the keys that requests carry. An admin's key opens everything."""

    def __init__(self, settings: Settings) -> None:
        admin_key = settings.admin_key.get_secret_value().strip() if settings.admin_key else ""
        admin = [admin_key] if admin_key else []
        users = [key.get_secret_value() for key in settings.api_keys]
        self._admin = _digests(admin)
        self._users = _digests(users + admin) if users else []

    @property
    def asks_for_keys(self) -> bool:
        """Whether answers are for those with a key only."""
        return bool(self._users)

    def may_infer(self, headers: Headers) -> None:
        """Raises Unauthorized."""
        if self._users and not _known(headers, self._users):
            raise Unauthorized

    def client(self, request: Request) -> str:
        """Who asks, as far as fairness between clients is concerned: a key, or an address where none is asked for."""
        if self._users:
            return hashlib.sha256(_given(request.headers)).hexdigest()
        return request.client.host if request.client else ""

    async def may_change(self, request: Request) -> None:
        """For a route's dependencies. Raises Unauthorized."""
        if not self._admin:
            raise Unauthorized(_NO_ADMIN_KEY)
        if not _known(request.headers, self._admin):
            raise Unauthorized


def _known(headers: Headers, digests: Sequence[bytes]) -> bool:
    """Compares with every key, and digests of one length: the time taken tells nothing about any key."""
    given = hashlib.sha256(_given(headers)).digest()
    return sum(hmac.compare_digest(given, digest) for digest in digests) > 0


def _given(headers: Headers) -> bytes:
    """The key of `Authorization: Bearer KEY`, else of `X-API-Key`, as the bytes that were sent."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return key.encode("latin-1")


def _digests(keys: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(key.encode()).digest() for key in keys]
