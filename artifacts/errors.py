"""Errors of the offline job; every message is one line that names what is wrong and what to do."""

from typing import Final

NEEDS_RAY: Final = "needs the package ray: pip install 'visual-task-vectors[ray]'"


def first_line(error: BaseException) -> str:
    """Of a library's error, which may have many or none: then its type."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class OfflineError(Exception):
    """Bad input to an offline command."""


class DatasetError(OfflineError):
    """A data set is missing or not in a layout that is understood."""


class ArtifactError(OfflineError):
    """A task-vector file is refused."""


class StoreAway(OfflineError):
    """A store or object storage cannot be reached, or does not give what it holds; it may later."""


class BlobLost(StoreAway):
    """A name in a store means a blob that the store lacks or gives damaged: as it does to everybody."""


class TrainingError(OfflineError):
    """Training cannot start or go on."""
