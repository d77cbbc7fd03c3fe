"""artifacts.store.address and open: what names a store."""

import subprocess
import sys
from pathlib import Path

import pytest

from artifacts.store.address import StoreAddress, store_address
from artifacts.store.folder import Store
from artifacts.store.open import open_store
from service.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("my-store", Path("my-store")),
        ("/a:b/c", Path("/a:b/c")),
        ("file:///a%20b/c", Path("/a b/c")),
        ("file:/a/b", Path("/a/b")),
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("gs://bucket", "gs://bucket"),
        ("az://container/a", "az://container/a"),
    ],
)
def test_folders_and_urls_are_told_apart(text: str, address: StoreAddress) -> None:
    assert store_address(text) == address
    assert Settings.load(store=text).store == address


@pytest.mark.parametrize(("text", "reason"), [("ftp://host/a", "begins with file:, s3:"), ("s3:///a", "no bucket")])
def test_what_names_no_store_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        store_address(text)
    with pytest.raises(SettingsError, match=f"--store: .*{reason}"):
        Settings.load(store=text)


def test_a_folder_needs_no_library_for_object_storage(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from artifacts.store.open import open_store;"
        f"open_store(Path({str(tmp_path)!r})).names(); sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert isinstance(open_store(tmp_path), Store)
