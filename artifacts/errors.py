"""Errors of the offline job; every message is one line that names what is wrong and what to do."""

from typing import Final

NEEDS_RAY: Final = "--ray needs the package ray: pip install 'visual-task-vectors[ray]'"


class OfflineError(Exception):
    """Bad input to an offline command."""


class DatasetError(OfflineError):
    """A data set is missing or not in a layout that is understood."""


class ArtifactError(OfflineError):
    """A task-vector file is refused."""


class StoreAway(OfflineError):
    """A store or object storage cannot be reached, or does not give what it holds; it may later."""


class TrainingError(OfflineError):
    """Training cannot start or go on."""
