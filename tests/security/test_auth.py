"""service.http.auth: whose key opens what."""

import asyncio

import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import Request

from service.errors import Unauthorized
from service.http.auth import Authenticator
from service.settings import Settings


def change(authenticator: Authenticator, key: str) -> None:
    headers = [(b"x-api-key", key.encode())]
    asyncio.run(authenticator.may_change(Request({"type": "http", "headers": headers})))


def test_without_keys_everybody_may_ask_and_nobody_may_change() -> None:
    authenticator = Authenticator(Settings(admin_key=SecretStr(" ")))
    authenticator.may_infer(Headers())
    for key in ("", " ", "x"):
        with pytest.raises(Unauthorized, match="VTV_ADMIN_KEY"):
            change(authenticator, key)


def test_an_admin_key_alone_leaves_asking_open() -> None:
    authenticator = Authenticator(Settings(admin_key=SecretStr("a")))
    authenticator.may_infer(Headers())
    change(authenticator, "a")
    with pytest.raises(Unauthorized):
        change(authenticator, "b")


def test_keys_are_compared_as_bytes() -> None:
    authenticator = Authenticator(Settings(api_keys=(SecretStr("schlüssel"),)))
    authenticator.may_infer(Headers(raw=[(b"authorization", "Bearer schlüssel".encode())]))
    for wrong in (b"", b"schl\xfcssel", "schlüsse".encode()):
        with pytest.raises(Unauthorized):
            authenticator.may_infer(Headers(raw=[(b"x-api-key", wrong)]))
