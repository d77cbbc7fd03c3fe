"""What every store of artifacts does, wherever it lies: task names that mean hashes, and content by hash.

A store holds `blobs/<sha256>.safetensors`, which never change, and `tasks/<name>`, the hash that a name means now, or
the word RETIRED. A publication writes the blob first and the name last, so that a reader sees the old or the new. A
name that is missing tells nothing: RETIRED alone takes a task out of service.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from artifacts.errors import ArtifactError, OfflineError, StoreAway
from artifacts.store import residual
from artifacts.store.artifact import Artifact, load_artifact
from artifacts.store.file import FILE_LIMIT, schema_of
from artifacts.store.regular import open_regular
from artifacts.store.residual import AnyArtifact, ResidualArtifact, load_residual
from artifacts.store.signature import TrustedKeys
from artifacts.suggest import did_you_mean

RETIRED = "retired"
"""What a name holds whose task was taken back."""
_DIGEST = re.compile("[0-9a-f]{64}")
_BLOB = re.compile(r"blobs/([0-9a-f]{64})\.safetensors")


class NoStoreYet(StoreAway):
    """Nothing was ever published there, as far as can be seen."""


class RetiredTask(ArtifactError):
    """A task was taken back."""


class PublishedMeanwhile(OfflineError):
    """Another publisher was faster: what a name means has changed under this one's hands."""


class Look(NamedTuple):
    """What stands in a store."""

    marks: dict[str, str]
    """Of every name, the retired included, a text that changes when what it means does."""
    strays: list[str]
    """What stands among the tasks and is none."""


class Entry(NamedTuple):
    """A file or an object of a store."""

    path: str
    """Below the store: `blobs/<sha256>.safetensors`, or what a broken-off write left."""
    size: int
    """Bytes."""
    changed: float
    """When it was written last, or published again; seconds since the epoch."""


class ArtifactStore(ABC):
    """Published artifacts. `period` is after how many seconds a watcher may look again."""

    period: float
    trusted: TrustedKeys | None = None
    """Whose artifacts are taken; None for anybody's."""

    @abstractmethod
    def names(self) -> list[str]:
        """Published tasks, sorted, without the retired. Raises StoreAway."""

    @abstractmethod
    def strays(self) -> list[str]:
        """What stands among the tasks and is none. Raises StoreAway."""

    @abstractmethod
    def look(self) -> Look:
        """What a watcher wants to know, as cheaply as it can be had. Raises StoreAway."""

    @abstractmethod
    def blob(self, digest: str) -> AbstractContextManager[Path]:
        """A file with the content of a hash, for as long as the context lasts. Raises StoreAway."""

    @abstractmethod
    def blobs_and_partials(self) -> list[Entry]:
        """Every blob, and what broken-off writes left. Raises ArtifactError for what is no store, StoreAway."""

    @abstractmethod
    def entry(self, path: str) -> Entry | None:
        """One of those as it is now. Raises StoreAway."""

    @abstractmethod
    def take_out(self, path: str) -> bytes | None:
        """Remove one of those; what it held, None where it is gone already. Raises OSError, StoreAway."""

    @abstractmethod
    def put_blob(self, content: bytes, digest: str) -> None:
        """Store a content under its hash; one that is there is new again. Raises OSError, StoreAway."""

    @abstractmethod
    def _pointer(self, name: str) -> str | None:
        """What a name holds; None where there is no such name. Raises ArtifactError for an illegal name, StoreAway."""

    @abstractmethod
    def _install(self, path: Path, digest: str, task: str, make: bool) -> None:
        """Store a file and let a name mean it; `make` a store where there is none.

        Raises PublishedMeanwhile, StoreAway.
        """

    @abstractmethod
    def _retire(self, name: str) -> None:
        """Let a name mean nothing. Raises PublishedMeanwhile, StoreAway."""

    def retire(self, name: str, missing_ok: bool = False) -> None:
        """Take a task's name back. Its blob stays, for those who are reading it.

        Raises ArtifactError for a name that is not there, which `missing_ok` allows, PublishedMeanwhile, StoreAway.
        """
        held = self._pointer(name)
        if held == RETIRED or (held is None and not missing_ok):
            self.hash_of(name)
        self._retire(name)

    def hash_of(self, name: str) -> str:
        """The hash a task's name means now; raises ArtifactError, RetiredTask of a retired one, and StoreAway."""
        held = self._pointer(name)
        if held == RETIRED:
            raise RetiredTask(f"task {name} in {self} is retired")
        if held is None and name not in (published := self.names()):
            meant = did_you_mean(name, published)
            raise ArtifactError(f"no task {name} in {self}; it holds: {', '.join(published) or 'none'}{meant}")
        if held is None or not is_digest(held):
            raise ArtifactError(f"what {self} holds as task {name} is no hash: publish it again")
        return held

    def meant(self) -> set[str]:
        """The hashes that names mean now; raises ArtifactError where one of them cannot be told, StoreAway."""
        hashes = set()
        for name in self.names():
            with suppress(RetiredTask):  # since it was listed
                hashes.add(self.hash_of(name))
        return hashes

    def read(self, name: str, fingerprint: str | None = None) -> Artifact:
        """A published artifact, its content checked against its hash; raises ArtifactError, StoreAway."""
        digest = self.hash_of(name)
        with self.blob(digest) as path:
            artifact = load_artifact(path, fingerprint)
        _check_hash(name, digest, artifact)
        return artifact

    def read_residual(self, name: str, tower: str | None = None) -> ResidualArtifact:
        """As `read`, of a classification task; with `tower`, refuse one made for another image encoder."""
        digest = self.hash_of(name)
        with self.blob(digest) as path:
            artifact = load_residual(path, tower)
        _check_hash(name, digest, artifact)
        return artifact

    def read_any(self, name: str) -> AnyArtifact:
        """As `read`, of a task of either kind."""
        digest = self.hash_of(name)
        with self.blob(digest) as path, self._checked(path, name) as checked:
            artifact = load_any(checked)
        _check_hash(name, digest, artifact)
        return artifact

    def check_origin(self, content: bytes, what: str) -> None:
        """Raises ArtifactError, which begins with `what`, for a file that nobody signed who is trusted."""
        if self.trusted is not None:
            self.trusted.check(content, what)

    @contextmanager
    def _checked(self, path: Path, name: str) -> Iterator[Path]:
        """The file, or where signatures count a copy that was checked, which nobody else can change meanwhile."""
        if self.trusted is None:
            yield path
            return
        try:
            with open_regular(path, FILE_LIMIT) as file:
                content = file.read()
        except OSError as error:
            raise ArtifactError(f"the blob of task {name} cannot be read: {error.strerror}") from None
        self.check_origin(content, f"the artifact of task {name}")
        with TemporaryFile() as copy:
            copy.write(content)
            copy.flush()
            yield Path(f"/dev/fd/{copy.fileno()}")

    def painted(self) -> list[Artifact]:
        """Every published task that paints, in the order of names; raises ArtifactError, StoreAway."""
        return [artifact for artifact in map(self.read_any, self.names()) if isinstance(artifact, Artifact)]

    def publish(self, path: Path, fingerprint: str | None = None, *, make: bool = True) -> Artifact:
        """Validate, hash and install a file under its task's name, atomically.

        Unless told not to `make` a store where there is none, which may only be away for the moment.

        Raises ArtifactError, PublishedMeanwhile, StoreAway.
        """
        artifact = load_artifact(path, fingerprint)
        self._publish(path, artifact, make)
        return artifact

    def publish_residual(self, path: Path, tower: str | None = None) -> ResidualArtifact:
        """As `publish`, of a classification task."""
        artifact = load_residual(path, tower)
        self._publish(path, artifact, make=True)
        return artifact

    def publish_any(self, path: Path, *, make: bool = True) -> AnyArtifact:
        """As `publish`, of a task of either kind."""
        artifact = load_any(path)
        self._publish(path, artifact, make)
        return artifact

    def _publish(self, path: Path, artifact: AnyArtifact, make: bool) -> None:
        self._install(path, artifact.hash, artifact.task, make)
        # `vtv store gc` may have taken the blob for nobody's before the name was there; from now on it does not.
        if self.entry(blob_path(artifact.hash)) is None:
            self.put_blob(path.read_bytes(), artifact.hash)


def blob_path(digest: str) -> str:
    """Where the blob of a hash lies below a store."""
    return f"blobs/{digest}.safetensors"


def digest_of(path: str) -> str | None:
    """The hash of the blob that lies there; None where no blob does."""
    blob = _BLOB.fullmatch(path)
    return blob[1] if blob else None


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in hex."""
    return _DIGEST.fullmatch(text) is not None


def load_any(path: Path) -> AnyArtifact:
    """Read and check a file of either kind, which it says itself; raises ArtifactError."""
    return load_residual(path) if is_classification(path) else load_artifact(path)


def is_classification(path: Path) -> bool:
    """Whether a file says that it is a classification task; raises ArtifactError for a file that is none."""
    return schema_of(path) == residual.SCHEMA


def _check_hash(name: str, wanted: str, found: AnyArtifact) -> None:
    if found.hash != wanted:
        raise ArtifactError(f"the blob of task {name} does not have its hash {wanted[:12]}: publish it again")
