"""What a store holds that no name means any more: replaced and retired artifacts, and what broken-off writes left."""

import re
from dataclasses import dataclass
from pathlib import Path
from time import time

from artifacts.errors import ArtifactError
from artifacts.store.folder import Store

KEPT_DAYS = 7.0
"""How long an artifact without a name stays: so long can a task's old version be published again by its hash."""
_PARTIAL_SECONDS = 3600.0
"""A write takes seconds; what is older was broken off."""
_BLOB = re.compile(r"[0-9a-f]{64}\.safetensors")
_PARTIAL = re.compile(r"\..+\.\d+\.[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files that nothing needs, and their bytes."""

    files: list[Path]
    size: int


def leftovers(store: Store, kept_days: float = KEPT_DAYS) -> Leftovers:
    """Blobs that no name means, unchanged for `kept_days`, and partial files; raises ArtifactError.

    A server holds what it serves in memory, so nothing of this is in use.
    """
    if not store.tasks.is_dir():
        raise ArtifactError(f"{store.root} is no store: it has no folder named tasks")
    # Every name must be understood before any file counts as nobody's.
    named = {f"{store.hash_of(name)}.safetensors" for name in store.names()}
    now, found, size = time(), [], 0
    for folder in (store.blobs, store.tasks):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            is_blob = folder == store.blobs and _BLOB.fullmatch(path.name) and path.name not in named
            age = kept_days * 86_400 if is_blob else _PARTIAL_SECONDS
            about = path.lstat()
            if (is_blob or _PARTIAL.fullmatch(path.name)) and now - about.st_mtime >= age:
                found.append(path)
                size += about.st_size
    return Leftovers(found, size)


def collect(store: Store, kept_days: float = KEPT_DAYS) -> Leftovers:
    """Remove them. Raises ArtifactError, OSError.

    Publishing makes a blob new before it gives it a name: with some days kept, none is removed that is about to be
    used.
    """
    found = leftovers(store, kept_days)
    for path in found.files:
        path.unlink(missing_ok=True)
    return found
