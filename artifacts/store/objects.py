"""A store in object storage: S3 and what speaks its protocol, Google's and Azure's by the same library (extra `s3`).

What must not be overwritten is written under a condition that the service itself checks: a blob only where there is
none, a name only while it holds what the publisher has seen. So of two publishers of one name one wins, and the other
is told.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PreconditionError
from obstore.store import from_url

from artifacts.store.base import RETIRED, ArtifactStore, Look, PublishedMeanwhile, StoreAway
from artifacts.store.file import check_name, is_name

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig

T = TypeVar("T")
_PREFIX = "tasks/"
_LONGEST_POINTER = 1024
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_TRIES = 3
"""The library tries again what was refused; what broke off it cannot know to be repeatable, as all is that we do."""
_CLIENT: "ClientConfig" = {"timeout": "10s", "connect_timeout": "3s", "allow_http": True}
"""The endpoint that the operator names says whether it is HTTP."""


class ObjectStore(ArtifactStore):
    """Published artifacts below a URL, `s3://bucket/prefix`. Credentials come from the provider's own variables."""

    period = 1.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._objects = self._try(lambda: from_url(url, retry_config=_RETRIES, client_options=_CLIENT))

    def __str__(self) -> str:
        return self._url

    def names(self) -> list[str]:
        tombstone = len(_line(RETIRED))
        return sorted(name for name, (_, size) in self._listed().items() if size != tombstone and is_name(name))

    def strays(self) -> list[str]:
        return self.look().strays

    def look(self) -> Look:
        """Marks are ETags. One request for a thousand names."""
        listed = self._listed()
        marks = {name: tag for name, (tag, _) in listed.items() if is_name(name)}
        return Look(marks, sorted(listed.keys() - marks.keys()))

    @contextmanager
    def blob(self, digest: str) -> Iterator[Path]:
        held = self._get(_blob_key(digest))
        if held is None:
            raise StoreAway(f"{self} lacks the blob {digest[:12]}")
        if _hash(held.content) != digest:
            raise StoreAway(f"{self} gave a damaged blob {digest[:12]}")
        with TemporaryDirectory(prefix="vtv-") as folder:
            path = Path(folder) / f"{digest}.safetensors"
            path.write_bytes(held.content)
            yield path

    def _pointer(self, name: str) -> str | None:
        check_name(name)
        held = self._get(_PREFIX + name)
        return None if held is None else held.text

    def _retire(self, name: str) -> None:
        self._point(name, RETIRED, self._get(_PREFIX + name))

    def _install(self, path: Path, digest: str, task: str, make: bool) -> None:  # a bucket is never made
        before = self._get(_PREFIX + task)
        self._put_blob(path.read_bytes(), digest)
        self._point(task, digest, before)

    def _put_blob(self, content: bytes, digest: str) -> None:
        """Unless it is there; one that is damaged is mended."""
        key = _blob_key(digest)
        held = self._get(key)
        if held is None and self._put(key, content, "create"):
            return
        held = held or self._get(key)
        if held is None or _hash(held.content) != digest:
            self._put(key, content, "overwrite")

    def _point(self, name: str, text: str, before: "_Held | None") -> None:
        """Let a name hold `text`, if it still holds what it did."""
        if self._put(_PREFIX + name, _line(text), "create" if before is None else before.version):
            return
        now = self._pointer(name)
        # A try whose answer was lost may have been carried out: then the next one fails on our own work.
        if now != text:
            raise PublishedMeanwhile(
                f"task {name} in {self} was changed by another publisher meanwhile: it is {now or 'gone'} now"
            )

    def _listed(self) -> dict[str, tuple[str, int]]:
        """ETag and size in bytes of every name."""

        def read() -> dict[str, tuple[str, int]]:
            entries = (entry for part in obstore.list(self._objects, prefix=_PREFIX) for entry in part)
            return {entry["path"].removeprefix(_PREFIX): (entry["e_tag"] or "", entry["size"]) for entry in entries}

        return self._try(read)

    def _get(self, key: str) -> "_Held | None":
        """None where there is no such object."""

        def read() -> _Held | None:
            try:
                answer = obstore.get(self._objects, key)
                return _Held.of(answer.meta, bytes(answer.bytes()))
            except FileNotFoundError:
                return None

        return self._try(read)

    def _put(self, key: str, content: bytes, mode: "PutMode") -> bool:
        """Whether the condition held."""

        def write() -> bool:
            try:
                obstore.put(self._objects, key, content, mode=mode)
                return True
            except (AlreadyExistsError, PreconditionError):
                return False

        return self._try(write)

    def _try(self, work: Callable[[], T]) -> T:
        """Raises StoreAway in the end."""
        for left in reversed(range(_TRIES)):
            try:
                return work()
            except (BaseError, OSError, ValueError) as error:
                if left and isinstance(error, GenericError):
                    continue
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise StoreAway(f"{self} cannot be used: {reason}") from None
        raise AssertionError("unreachable")


class _Held(NamedTuple):
    """An object, and the version of it that a condition names."""

    content: bytes
    version: "UpdateVersion"

    @classmethod
    def of(cls, meta: "ObjectMeta", content: bytes) -> Self:
        version: UpdateVersion = {}
        if meta["e_tag"]:
            version["e_tag"] = meta["e_tag"]
        if meta["version"]:
            version["version"] = meta["version"]
        return cls(content, version)

    @property
    def text(self) -> str:
        return self.content[:_LONGEST_POINTER].decode("ascii", "replace").strip()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob_key(digest: str) -> str:
    return f"blobs/{digest}.safetensors"


def _line(text: str) -> bytes:
    return f"{text}\n".encode()
