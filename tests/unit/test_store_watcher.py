"""service.tasks.store_watcher: what changes in a store, what is refused, and what goes on being served."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest

from artifacts.store.folder import Store
from service.tasks.registry import TaskRegistry
from service.tasks.store_calls import StoreCalls
from service.tasks.store_watcher import StoreWatcher
from service.telemetry.metrics import BuildInfo, Metrics
from tests.one_model import OneModel
from tests.support import make_artifact


class Served:
    """A store with one task, and what serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.registry = TaskRegistry(4)
        self.metrics = Metrics(BuildInfo("1", "m", "cpu", "eager"))
        self.watcher = StoreWatcher(
            self.store, self.registry, OneModel(), self.metrics, StoreCalls(20, lambda count: None)
        )
        self.publish("identity", 1)
        self.watcher.load()

    def publish(self, task: str, seed: int, model: str = "m", **changes: str) -> str:
        make_artifact(self.folder / "made", task, model, seed, **changes)
        return self.store.publish(self.folder / "made").hash

    def sync(self) -> dict[str, str]:
        asyncio.run(self.watcher.sync())
        return {name: self.registry.task(name).hash for name in self.registry.names()}

    def refused(self) -> float | None:
        return self.metrics.registry.get_sample_value("vtv_artifacts_refused_total")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_publications_and_retirements_are_taken_up(served: Served) -> None:
    first = served.registry.task("identity")
    new, more = served.publish("identity", 2), served.publish("inpaint", 3)
    assert served.sync() == {"identity": new, "inpaint": more}
    served.store.retire("inpaint")
    assert served.sync() == {"identity": new}
    assert served.publish("identity", 1) == first.hash
    assert served.sync() == {"identity": first.hash}
    assert served.refused() == 0


def test_nothing_is_read_that_did_not_change(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    artifact = served.registry.task("identity")
    with caplog.at_level(logging.INFO, "vtv.tasks"):
        served.sync()
    assert served.registry.task("identity") is artifact
    assert not caplog.records


@pytest.mark.parametrize("model", ["m", "foreign"])
def test_what_is_refused_is_told_once_and_the_old_one_stays(
    served: Served, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = served.sync()
    digest = served.publish("identity", 2, model)
    if model == "m":
        served.store.path_of(digest).write_bytes(b"damaged")
    for _ in range(3):
        assert served.sync() == before
    assert served.refused() == 1
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "task identity keeps its old artifact, the new one is refused"
    ]


def test_a_name_must_be_the_artifacts_own(served: Served) -> None:
    before = served.sync()
    shutil.copy(served.store.tasks / "identity", served.store.tasks / "inpaint")
    assert served.sync() == before
    assert served.refused() == 1


def test_a_blob_may_come_after_its_name(served: Served) -> None:
    digest = served.publish("inpaint", 2)
    blob = served.store.path_of(digest)
    content = blob.read_bytes()
    blob.unlink()
    assert "inpaint" not in served.sync()
    blob.write_bytes(content)
    assert served.sync()["inpaint"] == digest


@pytest.mark.parametrize("name", ["b\N{LATIN SMALL LETTER A WITH DIAERESIS}d", "a b", "x" * 200])
def test_strange_names_are_passed_over(served: Served, name: str, caplog: pytest.LogCaptureFixture) -> None:
    before = served.sync()
    (served.store.tasks / name).write_bytes(b"\xff")
    (served.store.tasks / "folder").mkdir()
    assert served.sync() == served.sync() == before
    assert served.refused() == 0
    assert [sum(repr(stray) in line for line in caplog.messages) for stray in (name, "folder")] == [1, 1]


def test_a_store_that_vanishes_takes_no_task_with_it(served: Served) -> None:
    before = served.sync()
    shutil.move(served.store.root, served.folder / "elsewhere")
    assert served.sync() == before
    shutil.move(served.folder / "elsewhere", served.store.root)
    assert served.sync() == before
    assert served.refused() == 0
