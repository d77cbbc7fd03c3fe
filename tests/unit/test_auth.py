"""service.http.auth: whose key opens what."""

import asyncio

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from service.errors import Unauthorized
from service.http.auth import Door
from service.settings import Settings


def change(door: Door, key: str) -> None:
    headers = [(b"x-api-key", key.encode())]
    asyncio.run(door.may_change(Request({"type": "http", "headers": headers})))


def test_without_keys_everybody_may_ask_and_nobody_may_change() -> None:
    door = Door(Settings.load({"VTV_ADMIN_KEY": " "}))
    door.may_infer(Headers())
    for key in ("", " ", "x"):
        with pytest.raises(Unauthorized, match="VTV_ADMIN_KEY"):
            change(door, key)


def test_an_admin_key_alone_leaves_asking_open() -> None:
    door = Door(Settings.load({"VTV_ADMIN_KEY": "a"}))
    door.may_infer(Headers())
    change(door, "a")
    with pytest.raises(Unauthorized):
        change(door, "b")


def test_keys_are_compared_as_bytes() -> None:
    door = Door(Settings.load({"VTV_API_KEYS": "schlüssel"}))
    door.may_infer(Headers(raw=[(b"authorization", "Bearer schlüssel".encode())]))
    for wrong in (b"", b"schl\xfcssel", "schlüsse".encode()):
        with pytest.raises(Unauthorized):
            door.may_infer(Headers(raw=[(b"x-api-key", wrong)]))
