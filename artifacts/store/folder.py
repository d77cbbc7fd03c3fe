"""A store in a folder, on a disk or a network file system."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from artifacts.errors import ArtifactError, StoreAway
from artifacts.store.base import RETIRED, ArtifactStore, Entry, Look, NoStoreYet, blob_path, digest_of, is_digest
from artifacts.store.file import check_name, file_hash, is_name
from artifacts.store.regular import is_regular, open_regular

_NAME_BYTES = 1024
"""Of the file that a name is; a hash has 64."""
_PARTIAL = re.compile(r"\..+\.\d+\.[0-9a-f]{8}")


class Store(ArtifactStore):
    """Published artifacts below `root`."""

    period = 0.5

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs, self.tasks = root / "blobs", root / "tasks"

    def __str__(self) -> str:
        return str(self.root)

    def names(self) -> list[str]:
        return [name for name in self._listed()[0] if self._held(name) != RETIRED]

    def strays(self) -> list[str]:
        """Folders, pipes, names that no task has; hidden files are nobody's business."""
        return self._listed()[1]

    def look(self) -> Look:
        """Marks are each name's hash and when its blob changed: one that arrives late, or is mended, is a change."""
        if not self.tasks.is_dir():
            raise NoStoreYet(f"{self} holds no store: {self.tasks} is missing")
        try:
            names, strays = self._listed()
            return Look({name: self._mark(name) for name in names}, strays)
        except OSError as error:
            raise StoreAway(f"{self} cannot be listed: {error.strerror}") from None

    def path_of(self, digest: str) -> Path:
        """Where the blob of a hash lies."""
        return self.root / blob_path(digest)

    @contextmanager
    def blob(self, digest: str) -> Iterator[Path]:
        yield self.path_of(digest)

    def blobs_and_partials(self) -> list[Entry]:
        if not self.tasks.is_dir():
            raise ArtifactError(f"{self} is no store: it has no folder named tasks")
        folders = (folder for folder in (self.blobs, self.tasks) if folder.is_dir())
        paths = [path.relative_to(self.root) for folder in folders for path in sorted(folder.iterdir())]
        ours = (str(path) for path in paths if digest_of(str(path)) or _PARTIAL.fullmatch(path.name))
        return [entry for path in ours if (entry := self.entry(path))]

    def entry(self, path: str) -> Entry | None:
        try:
            about = (self.root / path).lstat()
        except FileNotFoundError:
            return None
        return Entry(path, about.st_size, about.st_mtime)

    def take_out(self, path: str) -> bytes | None:
        try:
            content = (self.root / path).read_bytes() if is_regular(self.root / path) else b""
            (self.root / path).unlink()
        except FileNotFoundError:
            return None
        return content

    def put_blob(self, content: bytes, digest: str) -> None:
        self.blobs.mkdir(exist_ok=True)
        target = self.path_of(digest)
        try:
            if is_regular(target) and file_hash(target) == digest:
                os.utime(target)
                return
        except FileNotFoundError:
            pass  # removed this moment
        _write(content, target)

    def _listed(self) -> tuple[list[str], list[str]]:
        """Names, and strays."""
        if not self.tasks.is_dir():
            return [], []
        paths = sorted(path for path in self.tasks.iterdir() if not path.name.startswith("."))
        tasks = [path.name for path in paths if is_name(path.name) and is_regular(path)]
        return tasks, [path.name for path in paths if path.name not in tasks]

    def _pointer(self, name: str) -> str | None:
        check_name(name)
        return self._held(name)

    def _held(self, name: str) -> str | None:
        """The text of a name's file; None where there is none that can be read."""
        try:
            with open_regular(self.tasks / name, _NAME_BYTES) as file:
                return file.read().decode().strip()
        except (OSError, UnicodeDecodeError):
            return None

    def _mark(self, name: str) -> str:
        held = self._held(name) or ""
        if not is_digest(held):
            return held
        try:
            return f"{held} {self.path_of(held).stat().st_mtime_ns}"
        except OSError:
            return ""

    def _retire(self, name: str) -> None:
        self._check_present()
        _write(f"{RETIRED}\n".encode(), self.tasks / name)

    def _install(self, path: Path, digest: str, task: str, make: bool) -> None:
        if make:
            self.tasks.mkdir(parents=True, exist_ok=True)
        self._check_present()
        self.put_blob(path.read_bytes(), digest)
        _write(f"{digest}\n".encode(), self.tasks / task)

    def _check_present(self) -> None:
        """A store that was there may be back in a moment; another made in its place would hold nothing of it."""
        if not self.tasks.is_dir():
            raise NoStoreYet(f"{self} is away: {self.tasks} is missing")


def _write(content: bytes, target: Path) -> None:
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
