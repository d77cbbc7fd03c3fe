"""A store: a directory of published artifacts.

`blobs/<sha256>.safetensors` never change; `tasks/<name>` holds the hash that the task's name means now. A
publication writes the blob first and moves the name into place last, so a reader sees the old or the new.
"""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from artifacts.errors import ArtifactError
from artifacts.store import residual
from artifacts.store.artifact import Artifact, load_artifact
from artifacts.store.file import check_name, file_hash, is_name, schema_of
from artifacts.store.regular import is_regular, open_regular
from artifacts.store.residual import AnyArtifact, ResidualArtifact, load_residual
from artifacts.suggest import did_you_mean

_HASH = re.compile(r"[0-9a-f]{64}")
_NAME_BYTES = 1024
"""Of the file that a name is; a hash has 64."""


class Store:
    """Published artifacts below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs, self.tasks = root / "blobs", root / "tasks"

    def names(self) -> list[str]:
        """Published tasks, sorted."""
        return self._listed()[0]

    def strays(self) -> list[str]:
        """What stands among the tasks and is none: folders, pipes, names that no task has; hidden files are nobody's
        business."""
        return self._listed()[1]

    def _listed(self) -> tuple[list[str], list[str]]:
        if not self.tasks.is_dir():
            return [], []
        paths = sorted(path for path in self.tasks.iterdir() if not path.name.startswith("."))
        tasks = [path.name for path in paths if is_name(path.name) and is_regular(path)]
        return tasks, [path.name for path in paths if path.name not in tasks]

    def hash_of(self, name: str) -> str:
        """The hash a task's name means now; raises ArtifactError."""
        check_name(name)
        try:
            with open_regular(self.tasks / name, _NAME_BYTES) as file:
                digest = file.read().decode().strip()
        except (OSError, UnicodeDecodeError):
            held = self.names()
            meant = did_you_mean(name, held)
            raise ArtifactError(
                f"no task {name} in {self.root}; it holds: {', '.join(held) or 'none'}{meant}"
            ) from None
        if not _HASH.fullmatch(digest):
            raise ArtifactError(f"task {name} in {self.root} does not hold a hash: publish it again")
        return digest

    def path_of(self, digest: str) -> Path:
        """Where the blob of a hash lies."""
        return self.blobs / f"{digest}.safetensors"

    def read(self, name: str, fingerprint: str | None = None) -> Artifact:
        """A published artifact, its content checked against its hash; raises ArtifactError."""
        digest = self.hash_of(name)
        artifact = load_artifact(self.path_of(digest), fingerprint)
        _check_hash(name, digest, artifact.hash)
        return artifact

    def read_residual(self, name: str, tower: str | None = None) -> ResidualArtifact:
        """As `read`, of a classification task; with `tower`, refuse one made for another image encoder."""
        digest = self.hash_of(name)
        artifact = load_residual(self.path_of(digest), tower)
        _check_hash(name, digest, artifact.hash)
        return artifact

    def read_any(self, name: str) -> AnyArtifact:
        """As `read`, of a task of either kind."""
        classifies = schema_of(self.path_of(self.hash_of(name))) == residual.SCHEMA
        return self.read_residual(name) if classifies else self.read(name)

    def publish(self, path: Path, fingerprint: str | None = None, *, make: bool = True) -> Artifact:
        """Validate, hash and install a file under its task's name, atomically; raises ArtifactError.

        Unless told not to `make` the store's folders, which may only be away for the moment.
        """
        artifact = load_artifact(path, fingerprint)
        if make:
            self.tasks.mkdir(parents=True, exist_ok=True)
        self._publish(path, artifact.hash, artifact.task)
        return artifact

    def publish_residual(self, path: Path, tower: str | None = None) -> ResidualArtifact:
        """As `publish`, of a classification task."""
        artifact = load_residual(path, tower)
        self.tasks.mkdir(parents=True, exist_ok=True)
        self._publish(path, artifact.hash, artifact.task)
        return artifact

    def _publish(self, path: Path, digest: str, task: str) -> None:
        if not self.tasks.is_dir():
            raise FileNotFoundError(f"{self.tasks} is not there")
        self.blobs.mkdir(exist_ok=True)
        target = self.path_of(digest)
        if is_regular(target) and file_hash(target) == digest:
            os.utime(target)  # it is in use again: artifacts.store.gc goes by this
        else:
            _install(path.read_bytes(), target)
        _install(f"{digest}\n".encode(), self.tasks / task)

    def retire(self, name: str) -> None:
        """Take a task's name back; raises ArtifactError. Its blob stays, for those who are reading it."""
        self.hash_of(name)
        (self.tasks / name).unlink(missing_ok=True)


def _check_hash(name: str, wanted: str, found: str) -> None:
    if found != wanted:
        raise ArtifactError(f"the blob of task {name} does not have its hash {wanted[:12]}: publish it again")


def _install(content: bytes, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
