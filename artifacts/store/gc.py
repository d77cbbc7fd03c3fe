"""What a store holds that no name means any more: replaced and retired artifacts, and what broken-off writes left."""

from dataclasses import dataclass, field
from time import time
from typing import Final

from artifacts.store.base import ArtifactStore, Entry, digest_of

KEPT_DAYS: Final = 7.0
"""How long an artifact without a name stays: so long can a task's old version be published again by its hash."""
_DAY: Final = 86_400.0
_PARTIAL_SECONDS: Final = 3600.0
"""A write takes seconds; what is older was broken off."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What nothing needs, and how much else there is."""

    found: list[Entry] = field(default_factory=list)
    named: int = 0
    """Artifacts that names mean."""
    kept: int = 0
    """Artifacts that no name means, but whose time is not over."""

    @property
    def size(self) -> int:
        """Bytes of what nothing needs."""
        return sum(entry.size for entry in self.found)


def leftovers(store: ArtifactStore, kept_days: float = KEPT_DAYS) -> Leftovers:
    """Blobs that no name means, unchanged for `kept_days`, and partial files; raises ArtifactError, StoreAway.

    A server holds what it serves in memory, so nothing of this is in use.
    """
    entries = store.blobs_and_partials()
    named = store.meant()  # all understood, before any blob counts as nobody's
    nobodys = [entry for entry in entries if digest_of(entry.path) not in named]
    found = [entry for entry in nobodys if _is_over(entry, kept_days)]
    kept = sum(digest_of(entry.path) is not None for entry in nobodys if entry not in found)
    return Leftovers(found, len(named), kept)


def collect(store: ArtifactStore, kept_days: float = KEPT_DAYS) -> Leftovers:
    """Remove them. Raises ArtifactError, OSError, StoreAway.

    Others may publish meanwhile. A publisher makes a blob new, gives it its name, and looks whether it is still there;
    here its time is looked at once more, it is taken out, and put back where a name means it by now. So whichever of
    the two comes first, what a name means is there in the end.
    """
    planned, meant = leftovers(store, kept_days), _Meant(store)
    removed = []
    for before in planned.found:
        entry = store.entry(before.path)
        if entry is None or not _is_over(entry, kept_days):
            continue
        content = store.take_out(entry.path)
        digest = digest_of(entry.path)
        if content is not None and digest and digest in meant.now():
            store.put_blob(content, digest)
        elif content is not None:
            removed.append(entry)
    return Leftovers(removed, planned.named, planned.kept)


class _Meant:
    """The hashes that names mean, read again once a look, which is cheap, shows a change."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._marks: dict[str, str] | None = None
        self._hashes: set[str] = set()

    def now(self) -> set[str]:
        marks = self._store.look().marks
        if marks != self._marks:
            self._marks, self._hashes = marks, self._store.meant()
        return self._hashes


def _is_over(entry: Entry, kept_days: float) -> bool:
    return time() - entry.changed >= (_PARTIAL_SECONDS if digest_of(entry.path) is None else kept_days * _DAY)
