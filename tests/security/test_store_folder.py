"""What stands in a store's folder without being one of its tasks, and a folder that is away: on a real server."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.errors import ArtifactError
from artifacts.store.folder import Store
from cli.main import main
from tests.support import ServerProcess, make_artifact, photo, wait_until

KEY = {"Authorization": "Bearer k"}


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Store:
    """A copy that a test may spoil."""
    shutil.copytree(tiny_store, tmp_path / "store")
    return Store(tmp_path / "store")


def spoil(store: Store) -> list[str]:
    """Puts one of every kind of stray among the tasks."""
    (store.tasks / "Thumbs.db").write_bytes(b"\xff\xd8")
    (store.tasks / "identity~").write_text("old")
    (store.tasks / "folder").mkdir()
    os.mkfifo(store.tasks / "pipe")
    (store.tasks / "zero").symlink_to("/dev/zero")
    (store.tasks / "dangling").symlink_to(store.root / "nowhere")
    return sorted(("Thumbs.db", "identity~", "folder", "pipe", "zero", "dangling"))


def test_strays_are_named_and_the_rest_is_listed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    names = store.names()
    strays = spoil(store)
    assert (store.names(), store.strays()) == (names, strays)
    assert main(["tasks", "--store", str(store.root)]) == 0
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()[1:]] == names
    assert all(repr(stray) in told.err for stray in strays)


def test_a_name_whose_blob_cannot_be_read_is_named(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (("long", "x" * 5000), ("other", "../../etc/passwd"), ("lost", "0" * 64)):
        (store.tasks / name).write_text(content)
    assert main(["tasks", "--store", str(store.root)]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 6
    assert [f"task {name} cannot be read" in told.err for name in ("long", "other", "lost")] == [True] * 3


def test_a_blob_that_is_a_pipe_or_endless_holds_nobody_up(store: Store) -> None:
    blob = store.path_of(store.hash_of("identity"))
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(ArtifactError, match="no regular file"):
        store.read("identity")
    blob.unlink()
    blob.symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match="no regular file"):
        store.read("identity")
    blob.unlink()
    with blob.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ArtifactError, match="more than"):
        store.read("identity")


@pytest.mark.slow
def test_a_server_passes_strays_over_and_says_so_once(
    start_server: Callable[..., ServerProcess], store: Store, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    server = start_server(store=str(store.root), admin_key="k")
    served = server.client.get("/tasks").json()
    strays = spoil(store)
    wait_until(lambda: all(f"{stray!r} in the store is no task" in server.log for stray in strays))
    make_artifact(tmp_path / "new", "identity", tiny_model[1], seed=20)
    upload = (tmp_path / "new").read_bytes()
    assert server.client.put("/tasks/identity", content=upload, headers=KEY).status_code == 200
    for name in ("pipe", "zero"):
        assert server.client.delete(f"/tasks/{name}", headers=KEY).status_code == 404
    assert [task["name"] for task in server.client.get("/tasks").json()["tasks"]] == [
        task["name"] for task in served["tasks"]
    ]
    assert server.log.count("'pipe' in the store") == 1
    assert server.metric("vtv_artifacts_refused_total") == 0


@pytest.mark.slow
def test_a_store_that_is_away_is_not_made_anew(
    start_server: Callable[..., ServerProcess], store: Store, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    server = start_server(store=str(store.root), admin_key="k")
    tasks = server.client.get("/tasks").json()
    away = store.root.rename(tmp_path / "away")
    make_artifact(tmp_path / "new", "identity", tiny_model[1], seed=21)
    upload = (tmp_path / "new").read_bytes()
    for empty in (False, True):  # gone, and a mount point that holds nothing
        if empty:
            store.root.mkdir()
        reply = server.client.put("/tasks/identity", content=upload, headers=KEY)
        assert (reply.status_code, "store could not be changed" in reply.text) == (500, True)
        assert server.client.delete("/tasks/identity", headers=KEY).status_code == 500
        assert not store.tasks.exists()
    assert server.client.get("/tasks").json() == tasks
    assert server.infer("identity", photo()).status_code == 200
    store.root.rmdir()
    away.rename(store.root)
    assert server.client.put("/tasks/identity", content=upload, headers=KEY).status_code == 200
    assert len(server.client.get("/tasks").json()["tasks"]) == len(tasks["tasks"])


@pytest.mark.slow
def test_an_upload_leaves_nothing_outside_of_the_store(
    start_server: Callable[..., ServerProcess], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    server = start_server(store=str(store.root), admin_key="k")
    before = sorted(path.name for path in folder.iterdir())
    for content in (b"", b"no artifact", bytes(2_000_000)):
        assert server.client.put("/tasks/identity", content=content, headers=KEY).status_code == 400
    assert sorted(path.name for path in folder.iterdir()) == before


def old(path: Path, days: float) -> Path:
    about = path.stat()
    os.utime(path, (about.st_atime, about.st_mtime - 86_400 * days))
    return path


def test_what_no_name_means_is_collected_after_its_time(
    store: Store, tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = set(store.blobs.iterdir())
    hashes = []
    for seed in (30, 31, 32):
        make_artifact(tmp_path / "made", "identity", tiny_model[1], seed)
        hashes.append(store.publish(tmp_path / "made").hash)
    first, second, last = map(store.path_of, hashes)
    old(first, 8)
    old(last, 8)
    partial = old(store.blobs, 0) / ".x.safetensors.123.0a1b2c3d"
    partial.write_bytes(b"half")
    old(partial, 1)
    command = ["store", "gc", "--store", str(store.root)]
    assert main([*command, "--dry-run"]) == 0
    assert first.exists()
    assert partial.exists()
    assert main(command) == 0
    assert "removed 2 files" in capsys.readouterr().out
    assert [path.exists() for path in (first, second, last, partial)] == [False, True, True, False]
    assert len(named & set(store.blobs.iterdir())) == len(named)
    assert main([*command, "--keep-days", "0"]) == 0
    assert not second.exists()
    assert store.read("identity").hash == hashes[-1]


def test_a_blob_in_use_again_is_not_collected(store: Store, tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    """Published again between the look and the name: its age begins anew."""
    make_artifact(tmp_path / "made", "identity", tiny_model[1], 40)
    blob = store.path_of(store.publish(tmp_path / "made").hash)
    old(blob, 30)
    store.publish(tmp_path / "made")
    store.retire("identity")
    assert main(["store", "gc", "--store", str(store.root)]) == 0
    assert blob.exists()


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "blobs").mkdir()
    keep = old_file = tmp_path / "blobs" / f"{'a' * 64}.safetensors"
    keep.write_bytes(b"x")
    old(old_file, 100)
    assert main(["store", "gc", "--store", str(tmp_path)]) == 2
    assert "is no store" in capsys.readouterr().err
    assert keep.exists()
