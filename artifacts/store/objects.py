"""A store in object storage.

A name is written under a condition that the service itself checks: only while it holds what the publisher has seen. So
of two publishers of one name one wins, and the other is told. A blob is the same whoever writes it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from artifacts.errors import BlobLost
from artifacts.objects import Held, Objects
from artifacts.store.base import RETIRED, ArtifactStore, Entry, Look, PublishedMeanwhile, blob_path, digest_of
from artifacts.store.file import check_name, is_name

_PREFIX = "tasks/"
_LONGEST_POINTER = 1024


class ObjectStore(ArtifactStore):
    """Published artifacts below a URL, `s3://bucket/prefix`."""

    period = 1.0

    def __init__(self, url: str) -> None:
        self._objects, self._looked_at = Objects(url), Objects(url, patient=False)

    def __str__(self) -> str:
        return self._objects.url

    def names(self) -> list[str]:
        tombstone = len(_line(RETIRED))
        listed = self._objects.list(_PREFIX).items()
        return sorted(name for name, about in listed if about.size != tombstone and is_name(name))

    def strays(self) -> list[str]:
        return self.look().strays

    def look(self) -> Look:
        """Marks are ETags. One request for a thousand names, which does not wait for long."""
        listed = self._looked_at.list(_PREFIX)
        marks = {name: about.tag for name, about in listed.items() if is_name(name)}
        return Look(marks, sorted(listed.keys() - marks.keys()))

    @contextmanager
    def blob(self, digest: str) -> Iterator[Path]:
        held = self._objects.get(blob_path(digest))
        if held is None:
            raise BlobLost(f"{self} lacks the blob {digest[:12]}")
        if _hash(held.content) != digest:
            raise BlobLost(f"{self} gave a damaged blob {digest[:12]}")
        with TemporaryDirectory(prefix="vtv-") as folder:
            path = Path(folder) / f"{digest}.safetensors"
            path.write_bytes(held.content)
            yield path

    def blobs_and_partials(self) -> list[Entry]:
        """Blobs alone: an object is there whole, or not at all."""
        blobs = sorted(self._objects.list("blobs/").items())
        entries = [Entry(f"blobs/{name}", about.size, about.changed) for name, about in blobs]
        return [entry for entry in entries if digest_of(entry.path)]

    def entry(self, path: str) -> Entry | None:
        about = self._objects.about(path)
        return None if about is None else Entry(path, about.size, about.changed)

    def take_out(self, path: str) -> bytes | None:
        held = self._objects.get(path)
        self._objects.delete(path)
        return None if held is None else held.content

    def put_blob(self, content: bytes, digest: str) -> None:
        self._objects.put(blob_path(digest), content, "overwrite")

    def _pointer(self, name: str) -> str | None:
        check_name(name)
        held = self._objects.get(_PREFIX + name)
        return None if held is None else _text(held)

    def _retire(self, name: str) -> None:
        self._point(name, RETIRED, self._objects.get(_PREFIX + name))

    def _install(self, path: Path, digest: str, task: str, make: bool) -> None:  # a bucket is never made
        before = self._objects.get(_PREFIX + task)
        self.put_blob(path.read_bytes(), digest)
        self._point(task, digest, before)

    def _point(self, name: str, text: str, before: Held | None) -> None:
        """Let a name hold `text`, if it still holds what it did."""
        if self._objects.put(_PREFIX + name, _line(text), "create" if before is None else before.version):
            return
        now = self._pointer(name)
        # A try whose answer was lost may have been carried out: then the next one fails on our own work.
        if now != text:
            raise PublishedMeanwhile(
                f"task {name} in {self} was changed by another publisher meanwhile: it is {now or 'gone'} now"
            )


def _text(held: Held) -> str:
    return held.content[:_LONGEST_POINTER].decode("ascii", "replace").strip()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _line(text: str) -> bytes:
    return f"{text}\n".encode()
