"""A thousand installs and deletes beside light load: nothing of them stays."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store import gc
from artifacts.store.base import digest_of
from artifacts.store.folder import Store
from benchmarks.footprint import held, processes
from tests.support import ServerProcess, make_artifact, photo

KEY = {"Authorization": "Bearer k"}
CYCLES, WARM_UP = 1000, 100
MOST_GROWTH_MIB = 50


def anonymous(server: ServerProcess) -> float:
    return sum(held(process).anonymous for process in processes(server.process.pid))


def descriptors(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


@pytest.mark.slow
def test_a_thousand_installs_and_deletes_leave_nothing(
    start_server: Callable[..., ServerProcess], tiny_store: Path, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copytree(tiny_store, tmp_path / "store")
    store = Store(tmp_path / "store")
    server = start_server(store=str(store.root), admin_key="k", codec_processes="1", buckets="1")
    uploads = []
    for seed in range(4):
        make_artifact(tmp_path / "made", "identity", tiny_model[1], seed=100 + seed)
        uploads.append((tmp_path / "made").read_bytes())
    other = server.infer("segmentation", photo()).content
    over, wrong = threading.Event(), list[int]()

    def light_load() -> None:
        while not over.wait(0.02):
            reply = server.infer("segmentation", photo())
            if (reply.status_code, reply.content) != (200, other):
                wrong.append(reply.status_code)

    def cycle(number: int) -> bytes:
        upload = uploads[number % len(uploads)]
        assert server.client.put("/tasks/identity", content=upload, headers=KEY).status_code in (200, 201)
        reply = server.infer("identity", photo())
        assert reply.status_code == 200
        assert server.client.delete("/tasks/identity", headers=KEY).status_code == 204
        return reply.content

    client = threading.Thread(target=light_load)
    client.start()
    try:
        wanted = [cycle(number) for number in range(len(uploads))]
        for number in range(WARM_UP):
            cycle(number)
        before = anonymous(server), descriptors(server), len(server.client.get("/metrics").text.splitlines())
        for number in range(CYCLES):
            assert cycle(number) == wanted[number % len(wanted)], "its own version's answer"
        after = anonymous(server), descriptors(server), len(server.client.get("/metrics").text.splitlines())
    finally:
        over.set()
        client.join()
    assert not wrong
    assert after[0] - before[0] <= MOST_GROWTH_MIB
    assert after[1] - before[1] <= 4
    assert after[2] - before[2] <= 4
    gc.collect(store, kept_days=0)
    assert {digest_of(entry.path) for entry in store.blobs_and_partials()} == store.meant()
    print(f"MiB, descriptors, lines of metrics: {before} before, {after} after")
