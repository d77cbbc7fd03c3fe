"""The store at an address."""

from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.store.address import StoreAddress
from artifacts.store.base import ArtifactStore
from artifacts.store.folder import Store


def open_store(address: StoreAddress) -> ArtifactStore:
    """Raises OfflineError where the extra for object storage is missing, or the URL is not understood."""
    if isinstance(address, Path):
        return Store(address)
    try:
        from artifacts.store.objects import ObjectStore
    except ModuleNotFoundError:
        raise OfflineError(f"{address} needs more packages: pip install 'visual-task-vectors[s3]'") from None
    return ObjectStore(address)
