"""Object storage: S3 and what speaks its protocol, Google's and Azure's by the same library (extra `s3`)."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PreconditionError
from obstore.store import from_url

from artifacts.errors import StoreAway, first_line

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig

T = TypeVar("T")
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_TRIES = 3
"""The library tries again what was refused; what broke off it cannot know to be repeatable, as all is that we do."""
_CLIENT: "ClientConfig" = {"timeout": "10s", "connect_timeout": "3s", "allow_http": True}
"""The endpoint that the operator names says whether it is HTTP."""
_LOOK_SECONDS: Final = 3
"""Of a watcher's look, which is soon taken again: a connection that is dead must not hold it up for long."""
_LOOK_CLIENT: "ClientConfig" = {"timeout": f"{_LOOK_SECONDS}s", "connect_timeout": "1500ms"}
"""Beyond a second, after which a packet that was lost is sent again."""
_LOOK_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=_LOOK_SECONDS)}


class Listed(NamedTuple):
    """What a list says of an object."""

    tag: str
    """Its ETag: another content has another."""
    size: int
    changed: float
    """When it was written, by the service's clock; seconds since the epoch."""

    @classmethod
    def of(cls, meta: "ObjectMeta") -> Self:
        """As the library tells it."""
        return cls(meta["e_tag"] or "", meta["size"], meta["last_modified"].timestamp())


class Held(NamedTuple):
    """An object, and the version of it that a condition names."""

    content: bytes
    version: "UpdateVersion"

    @classmethod
    def of(cls, meta: "ObjectMeta", content: bytes) -> Self:
        """As the library tells it."""
        version: UpdateVersion = {}
        if meta["e_tag"]:
            version["e_tag"] = meta["e_tag"]
        if meta["version"]:
            version["version"] = meta["version"]
        return cls(content, version)


class Objects:
    """Objects below a URL, `s3://bucket/prefix`. Credentials come from the provider's own variables.

    Everything raises StoreAway where the service does not answer, tries again included.
    """

    def __init__(self, url: str, *, patient: bool = True) -> None:
        """Who is not `patient` tries nothing again after `_LOOK_SECONDS`."""
        self.url, self._patience = url, inf if patient else _LOOK_SECONDS
        retries, client = (_RETRIES, _CLIENT) if patient else (_LOOK_RETRIES, _CLIENT | _LOOK_CLIENT)
        self._objects = self._try(lambda: from_url(url, retry_config=retries, client_options=client))

    def list(self, prefix: str) -> dict[str, Listed]:
        """By the names behind `prefix`, a folder's name and a slash or nothing. A request for each thousand."""

        def read() -> dict[str, Listed]:
            entries = (entry for part in obstore.list(self._objects, prefix=prefix) for entry in part)
            return {entry["path"].removeprefix(prefix): Listed.of(entry) for entry in entries}

        return self._try(read)

    def get(self, key: str) -> Held | None:
        """None where there is no such object."""

        def read() -> Held | None:
            try:
                answer = obstore.get(self._objects, key)
                return Held.of(answer.meta, bytes(answer.bytes()))
            except FileNotFoundError:
                return None

        return self._try(read)

    def about(self, key: str) -> Listed | None:
        """None where there is no such object."""

        def read() -> Listed | None:
            try:
                return Listed.of(obstore.head(self._objects, key))
            except FileNotFoundError:
                return None

        return self._try(read)

    def delete(self, key: str) -> None:
        """Remove an object, where there is one."""

        def remove() -> None:
            with suppress(FileNotFoundError):
                obstore.delete(self._objects, key)

        self._try(remove)

    def put(self, key: str, content: bytes, mode: "PutMode") -> bool:
        """Write under a condition: `create` where there is nothing, a version where it is still that one, or
        `overwrite`. Whether the condition held; a try whose answer was lost may have been carried out before."""

        def write() -> bool:
            try:
                obstore.put(self._objects, key, content, mode=mode)
                return True
            except (AlreadyExistsError, PreconditionError):
                return False

        return self._try(write)

    def _try(self, work: Callable[[], T]) -> T:
        given_up = monotonic() + self._patience
        for left in reversed(range(_TRIES)):
            try:
                return work()
            except (BaseError, OSError, ValueError) as error:
                if left and isinstance(error, GenericError) and monotonic() < given_up:
                    continue
                raise StoreAway(f"{self.url} cannot be used: {first_line(error)}") from None
        raise AssertionError("unreachable")


@lru_cache
def objects_at(url: str) -> Objects:
    """One for each process, so that connections are used again."""
    return Objects(url)
