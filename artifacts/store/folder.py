"""A store: a directory of published artifacts.

`blobs/<sha256>.safetensors` never change; `tasks/<name>` holds the hash that the task's name means now. A
publication writes the blob first and moves the name into place last, so a reader sees the old or the new.
"""

import os
import secrets
from pathlib import Path

from artifacts.errors import ArtifactError
from artifacts.store import residual
from artifacts.store.artifact import Artifact, load_artifact
from artifacts.store.file import check_name, file_hash, schema_of
from artifacts.store.residual import AnyArtifact, ResidualArtifact, load_residual
from artifacts.suggest import did_you_mean


class Store:
    """Published artifacts below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs, self.tasks = root / "blobs", root / "tasks"

    def names(self) -> list[str]:
        """Published tasks, sorted."""
        if not self.tasks.is_dir():
            return []
        return sorted(path.name for path in self.tasks.iterdir() if not path.name.startswith("."))

    def hash_of(self, name: str) -> str:
        """The hash a task's name means now; raises ArtifactError."""
        check_name(name)
        try:
            return (self.tasks / name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            held = self.names()
            meant = did_you_mean(name, held)
            raise ArtifactError(
                f"no task {name} in {self.root}; it holds: {', '.join(held) or 'none'}{meant}"
            ) from None

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

    def publish(self, path: Path, fingerprint: str | None = None) -> Artifact:
        """Validate, hash and install a file under its task's name, atomically; raises ArtifactError."""
        artifact = load_artifact(path, fingerprint)
        self._publish(path, artifact.hash, artifact.task)
        return artifact

    def publish_residual(self, path: Path, tower: str | None = None) -> ResidualArtifact:
        """As `publish`, of a classification task."""
        artifact = load_residual(path, tower)
        self._publish(path, artifact.hash, artifact.task)
        return artifact

    def _publish(self, path: Path, digest: str, task: str) -> None:
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.tasks.mkdir(parents=True, exist_ok=True)
        target = self.path_of(digest)
        if not target.is_file() or file_hash(target) != digest:
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
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
