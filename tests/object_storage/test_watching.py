"""service.tasks.store_watcher over object storage: few requests, nothing lost while the store is away or empty."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from artifacts.store.base import Look
from artifacts.store.objects import ObjectStore
from service.tasks import store_watcher
from service.tasks.registry import TaskRegistry
from service.tasks.store_calls import StoreCalls
from service.tasks.store_watcher import StoreWatcher
from service.telemetry.metrics import BuildInfo, Metrics
from tests.object_storage.faults import Fault, FaultyProxy
from tests.object_storage.s3_server import S3Server
from tests.one_model import OneModel
from tests.support import make_artifact, wait_until


class Watched:
    """A store with one task, and what serves it."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.registry = TaskRegistry(4)
        self.metrics = Metrics(BuildInfo("1", "m", "cpu", "eager"))
        self.watcher = StoreWatcher(store, self.registry, OneModel(), self.metrics, StoreCalls(20, lambda count: None))
        self.first = self.publish("identity", 1)
        self.watcher.load()

    def publish(self, task: str, seed: int) -> str:
        make_artifact(self.folder / "made", task, "m", seed)
        return self.store.publish(self.folder / "made").hash

    def sync(self) -> dict[str, str]:
        asyncio.run(self.watcher.sync())
        return {name: self.registry.task(name).hash for name in self.registry.names()}

    def sample(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)


@pytest.fixture
def watched(store: ObjectStore, tmp_path: Path) -> Watched:
    return Watched(store, tmp_path)


def test_a_look_is_one_request_and_only_what_changed_is_read(watched: Watched, proxy: FaultyProxy) -> None:
    watched.publish("inpaint", 2)
    watched.sync()
    proxy.log.clear()
    watched.sync()
    assert [method for method, _ in proxy.log] == ["GET"]
    second = watched.publish("identity", 3)
    proxy.log.clear()
    assert watched.sync()["identity"] == second
    assert [path.partition("/some/prefix/")[2] for _, path in proxy.log] == [
        "",
        "tasks/identity",
        f"blobs/{second}.safetensors",
    ]


def test_retiring_is_explicit(watched: Watched) -> None:
    watched.store.retire("identity")
    assert watched.sync() == {}
    again = watched.publish("identity", 2)
    assert watched.sync() == {"identity": again}


def test_an_emptied_bucket_takes_nothing_away(watched: Watched, s3: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    s3.wipe()
    for _ in range(3):
        assert watched.sync() == {"identity": watched.first}
    assert watched.sample("vtv_tasks_missing") == 1
    assert watched.sample("vtv_store_up") == 1
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "task identity is missing from the store; it goes on being served until it is retired"
    ]
    asyncio.run(watched.watcher.retire("identity"))
    assert watched.sync() == {}
    assert watched.sample("vtv_tasks_missing") == 0


@pytest.mark.parametrize(
    "fault", ["503", "gone", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("500", "reset"))]
)
def test_what_is_loaded_is_served_while_the_store_is_away(
    watched: Watched, proxy: FaultyProxy, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    proxy.always = fault
    pauses = []
    for _ in range(3):
        assert watched.sync() == {"identity": watched.first}
        pauses.append(watched.watcher._pause())
    assert watched.sample("vtv_store_up") == 0
    assert watched.sample("vtv_store_failures_total") == 3
    for times, pause in enumerate(pauses, 1):
        assert 2**times / 2 <= pause or pause >= store_watcher._LONGEST_PAUSE_SECONDS / 2
        assert pause <= min(2**times, store_watcher._LONGEST_PAUSE_SECONDS)
    proxy.heal()
    second = watched.publish("identity", 2)
    assert watched.sync() == {"identity": second}
    assert watched.sample("vtv_store_up") == 1
    assert watched.watcher._pause() == watched.store.period
    said = [record.message for record in caplog.records if "the store is" in record.message]
    assert [line.partition(",")[0] for line in said] == ["the store is away", "the store is back"]


@pytest.mark.parametrize("fault", ["stale_list", "empty_list"])
def test_lists_that_are_wrong_take_nothing_back(watched: Watched, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.lists.clear()
    watched.sync()  # a stale list is this one
    second = watched.publish("identity", 2)
    assert watched.sync() == {"identity": second}
    proxy.always = fault
    for _ in range(2):
        assert watched.sync() == {"identity": second}
    proxy.heal()
    assert watched.sync() == {"identity": second}
    assert watched.sample("vtv_artifacts_refused_total") == 0


def test_one_task_that_cannot_be_read_holds_no_other_up(
    watched: Watched, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = watched.publish("inpaint", 3)
    second = watched.publish("identity", 2)
    proxy.always, proxy.only = "truncate", "tasks/identity"
    assert watched.sync() == {"identity": watched.first, "inpaint": third}
    assert watched.sample("vtv_store_failures_total") == 1
    assert watched.sample("vtv_artifacts_refused_total") == 0
    proxy.heal()
    assert watched.sync() == {"identity": watched.first, "inpaint": third}, "tried again at once"
    monkeypatch.setattr(store_watcher, "_UNREAD_SECONDS", 0.0)
    watched.watcher._retry_at.clear()
    assert watched.sync() == {"identity": second, "inpaint": third}


def test_before_the_store_was_seen_the_watcher_says_so(store: ObjectStore, proxy: FaultyProxy, tmp_path: Path) -> None:
    proxy.always = "503"
    metrics = Metrics(BuildInfo("1", "m", "cpu", "eager"))
    watcher = StoreWatcher(store, TaskRegistry(4), OneModel(), metrics, StoreCalls(20, lambda count: None))
    watcher.load()
    assert watcher.waits_for == "waiting for the store"
    proxy.heal()
    asyncio.run(watcher.sync())
    assert not watcher.waits_for


def impatient_watcher(watched: Watched) -> StoreWatcher:
    calls = StoreCalls(20, lambda count: None)
    watcher = StoreWatcher(watched.store, watched.registry, OneModel(), watched.metrics, calls, stale_seconds=0.5)
    watcher.load()
    return watcher


def test_a_store_that_is_out_of_sight_for_too_long_makes_a_server_stale(watched: Watched, proxy: FaultyProxy) -> None:
    """Until a look goes well again; where nothing was said, however long it takes."""
    impatient = impatient_watcher(watched)
    assert not impatient.waits_for
    proxy.always = "gone"
    wait_until(lambda: impatient.waits_for == "stale: the store was last seen over 0.5 s ago", "staleness")
    asyncio.run(impatient.sync())
    assert impatient.waits_for
    assert watched.sync() == {"identity": watched.first}
    assert not watched.watcher.waits_for
    proxy.heal()
    asyncio.run(impatient.sync())
    assert not impatient.waits_for


def test_who_sees_that_a_task_changed_but_cannot_read_it_grows_stale(watched: Watched, proxy: FaultyProxy) -> None:
    """It would answer by what was replaced while others have the new version."""
    watcher = impatient_watcher(watched)
    watched.publish("identity", 2)
    proxy.always, proxy.only = "truncate", "tasks/identity"

    def stale_though_it_looks() -> bool:
        asyncio.run(watcher.sync())
        return watcher.waits_for.startswith("stale")

    wait_until(stale_though_it_looks, "staleness")
    assert watched.sample("vtv_store_up") == 1
    proxy.heal()
    watcher._retry_at.clear()
    asyncio.run(watcher.sync())
    assert not watcher.waits_for


def test_what_could_not_be_read_and_is_there_no_more_makes_nobody_stale(watched: Watched, proxy: FaultyProxy) -> None:
    watcher = impatient_watcher(watched)
    watched.publish("inpaint", 2)
    proxy.always, proxy.only = "truncate", "tasks/inpaint"
    asyncio.run(watcher.sync())
    proxy.heal()
    watched.store.take_out("tasks/inpaint")
    began = time.monotonic()
    while time.monotonic() < began + 0.7:
        asyncio.run(watcher.sync())
    assert not watcher.waits_for


def test_a_blob_that_the_store_has_lost_makes_nobody_stale(watched: Watched, proxy: FaultyProxy) -> None:
    """Nobody can read it: all servers would be stale for good."""
    watcher = impatient_watcher(watched)
    second = watched.publish("identity", 2)
    watched.store.take_out(f"blobs/{second}.safetensors")
    began = time.monotonic()
    while time.monotonic() < began + 0.7:
        asyncio.run(watcher.sync())
    assert not watcher.waits_for
    assert watched.sample("vtv_store_failures_total") == 1


def test_a_look_that_took_long_shows_the_store_as_it_was_when_it_began(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = impatient_watcher(watched)
    look = watcher._store.look

    def slow_look() -> Look:
        seen = look()
        time.sleep(0.6)
        return seen

    monkeypatch.setattr(watcher._store, "look", slow_look)
    asyncio.run(watcher.sync())
    assert watcher.waits_for.startswith("stale")
