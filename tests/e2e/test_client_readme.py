"""The Python blocks of the client's README, one after the other, against a real server."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artifacts.store.folder import Store
from engine.towers.folder import read_fingerprint
from tests.support import ServerProcess, make_residual, photo

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


@pytest.fixture
def server(
    start_server: Callable[..., ServerProcess], tiny_store: Path, tower_folder: Path, tmp_path: Path
) -> ServerProcess:
    """One whose tasks may be changed, and which classifies."""
    shutil.copytree(tiny_store, tmp_path / "store")
    make_residual(tmp_path / "made", "animals", read_fingerprint(tower_folder), seed=1)
    Store(tmp_path / "store").publish_residual(tmp_path / "made")
    return start_server(store=str(tmp_path / "store"), admin_key="secret", tower=str(tower_folder), tower_buckets="1")


@pytest.mark.slow
def test_the_blocks_run(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    for seed, name in enumerate(("photo.jpg", "dark.jpg", "input.png", "output.png", "photos/a.jpg", "photos/b.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photo(seed=seed))
    (tmp_path / "photos/broken.jpg").write_bytes(b"no picture")
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block.replace("http://localhost:8000", server.url), names)
    for name in ("client", "admin"):
        names[name].close()
    assert (tmp_path / "mask.webp").read_bytes()[8:12] == b"WEBP"
    assert {path.name for path in (tmp_path / "photos").glob("*.png")} == {"a.png", "b.png"}
    shown = capsys.readouterr().out
    assert "broken.jpg" in shown
    assert "'identity'" in shown
    assert "image/png" in shown
    assert "done {" in shown
    assert "ScoredClass(label='animals " in shown
