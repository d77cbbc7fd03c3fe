"""`vtv store gc` in both kinds of store: what it finds, and that it takes nothing from whoever publishes meanwhile."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.errors import ArtifactError, StoreAway
from artifacts.store import gc
from artifacts.store.address import StoreAddress
from artifacts.store.base import ArtifactStore, digest_of
from artifacts.store.folder import Store
from artifacts.store.objects import ObjectStore
from artifacts.store.open import open_store
from cli.main import main
from tests.object_storage.conftest import URL
from tests.object_storage.publishers import publish_until
from tests.support import ANSWERS, ServerProcess, make_artifact, photo, wait_until

PUBLISHERS = 4
_SPAWN = multiprocessing.get_context("spawn")
"""The object store's library runs threads in this process: forked, it would hang."""


def made(folder: Path, fingerprint: str, count: int) -> list[Path]:
    """Artifacts, several for each of four tasks."""
    folder.mkdir()
    paths = [folder / f"{seed}.safetensors" for seed in range(count)]
    for seed, path in enumerate(paths):
        make_artifact(path, list(ANSWERS)[seed % 4], fingerprint, seed)
    return paths


def test_a_bucket_is_cleared_up_as_a_folder_is(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = made(tmp_path / "made", "m", 8)
    hashes = [store.publish(path).hash for path in paths]
    store._objects.put("blobs/README", b"of somebody", "overwrite")
    command = ["store", "gc", "--store", URL]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed 0 files, 0 bytes",
        "kept 4 that tasks mean, 4 that none has meant for less than 7 days",
    ]
    assert main([*command, "--keep-days", "0", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], told["named"], told["kept"]) == (False, 4, 0)
    assert {digest_of(path) for path in told["files"]} == set(hashes[:4])
    assert told["bytes"] == sum(path.stat().st_size for path in paths[:4])
    assert main([*command, "--keep-days", "0"]) == 0
    assert "removed 4 files" in capsys.readouterr().out
    assert {digest_of(entry.path) for entry in store.blobs_and_partials()} == set(hashes[4:])
    assert [store.read(name).hash in hashes[4:] for name in store.names()] == [True] * 4


def test_a_name_that_cannot_be_told_keeps_every_blob(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "store")
    for path in made(tmp_path / "made", "m", 8):
        store.publish(path)
    (store.tasks / "identity").write_text("half a ha")
    before = store.blobs_and_partials()
    assert main(["store", "gc", "--store", str(store.root), "--keep-days", "0"]) == 2
    assert "holds as task identity is no hash" in capsys.readouterr().err
    assert store.blobs_and_partials() == before


def clear_up_while_others_publish(address: StoreAddress, paths: list[Path], publishes: int) -> int:
    """How many blobs were removed; whoever reads meanwhile finds every task, if not at once."""
    store, stop = open_store(address), _SPAWN.Event()
    for path in paths:
        store.publish(path)
    counts = [_SPAWN.Value("l", 0) for _ in range(PUBLISHERS)]
    publishers = [
        _SPAWN.Process(target=publish_until, args=(stop, address, paths, seed, count), daemon=True)
        for seed, count in enumerate(counts)
    ]
    for publisher in publishers:
        publisher.start()
    removed = 0
    try:
        while sum(count.value for count in counts) < publishes:
            removed += len(gc.collect(store, kept_days=0).found)
            for name in store.names():
                wait_until(lambda name=name: is_there(store, name), f"task {name}")
            assert all(publisher.is_alive() for publisher in publishers)
    finally:
        stop.set()
        for publisher in publishers:
            publisher.join()
    assert [publisher.exitcode for publisher in publishers] == [0] * PUBLISHERS
    return removed


def is_there(store: ArtifactStore, name: str) -> bool:
    try:
        store.read(name)
    except (ArtifactError, StoreAway):
        return False
    return True


@pytest.mark.slow
def test_a_server_loses_no_task_while_a_folder_is_cleared_up_and_published_into(
    start_server: Callable[..., ServerProcess], tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    paths, store = made(tmp_path / "made", tiny_model[1], 8), Store(tmp_path / "store")
    store.publish(paths[0])
    server = start_server(store=str(store.root))
    assert clear_up_while_others_publish(store.root, paths, 400) > 20
    gc.collect(store, kept_days=0)
    hashes = {name: store.read(name).hash for name in store.names()}
    assert len(hashes) == 4
    assert {digest_of(entry.path) for entry in store.blobs_and_partials()} == set(hashes.values())
    for name, digest in hashes.items():
        wait_until(lambda name=name, digest=digest: served(server, name) == digest, f"task {name}")
        assert server.infer(name, photo()).status_code == 200


def served(server: ServerProcess, name: str) -> str:
    return str(server.client.get(f"/tasks/{name}").json().get("artifact"))


@pytest.mark.slow
def test_nothing_named_is_lost_while_a_bucket_is_cleared_up_and_published_into(
    store: ObjectStore, tmp_path: Path
) -> None:
    assert clear_up_while_others_publish(URL, made(tmp_path / "made", "m", 8), 300) > 5
    gc.collect(store, kept_days=0)
    hashes = {store.read(name).hash for name in store.names()}
    assert len(hashes) == 4
    assert {digest_of(entry.path) for entry in store.blobs_and_partials()} == hashes
