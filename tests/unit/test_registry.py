"""service.tasks.registry: names to artifacts, artifacts to pinned slots."""

from pathlib import Path

import pytest

from artifacts.store.base import load_any
from engine.classification.head import Head
from engine.task_vector import TaskVector
from service.errors import FaultyTask, QueueFull, UnknownTask
from service.tasks.installed import InstalledTask
from service.tasks.registry import TaskRegistry
from tests.support import make_artifact, make_residual

Tasks = dict[str, InstalledTask]


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    """Two of either kind."""
    found = {}
    for seed, task in enumerate(("identity", "inpaint")):
        make_artifact(tmp_path / task, task, "m", seed)
        found[task] = InstalledTask.of(load_any(tmp_path / task))
    for seed, task in enumerate(("animals", "plants")):
        make_residual(tmp_path / task, task, "t" * 64, seed, width=8, classes=3)
        found[task] = InstalledTask.of(load_any(tmp_path / task))
    return found


def registry_of(tasks: Tasks, capacity: int) -> TaskRegistry:
    registry = TaskRegistry(capacity)
    for task in tasks.values():
        registry.install(task)
    return registry


class Writes(list[tuple[int, TaskVector | Head]]):
    def __call__(self, slot: int, content: TaskVector | Head) -> None:
        self.append((slot, content))


@pytest.mark.parametrize("name", ["identity", "animals"])
def test_a_task_is_written_once_and_stays(tasks: Tasks, name: str) -> None:
    registry, writes = registry_of(tasks, 4), Writes()
    with registry.pinned(tasks[name], writes) as first:
        pass
    with registry.pinned(tasks[name], writes) as second:
        pass
    assert first == second != 0
    assert writes == [(first, tasks[name].content)]


@pytest.mark.parametrize(("name", "other"), [("identity", "inpaint"), ("identity", "animals"), ("animals", "plants")])
def test_a_pinned_slot_is_never_reused(tasks: Tasks, name: str, other: str) -> None:
    registry, writes = registry_of(tasks, 2), Writes()
    with (
        registry.pinned(tasks[name], writes) as slot,
        pytest.raises(QueueFull),
        registry.pinned(tasks[other], writes),
    ):
        pass
    with registry.pinned(tasks[other], writes) as reused:
        assert reused == slot
    assert writes == [(slot, tasks[name].content), (slot, tasks[other].content)]
    assert registry.slots.pinned == 0


def test_a_slot_is_released_when_the_request_fails(tasks: Tasks) -> None:
    registry = registry_of(tasks, 2)
    with pytest.raises(KeyError), registry.pinned(tasks["identity"], Writes()):
        raise KeyError
    assert registry.slots.pinned == 0


def test_an_unknown_task_lists_the_others(tasks: Tasks) -> None:
    with pytest.raises(UnknownTask) as caught:
        registry_of(tasks, 2).task("nonesuch")
    assert caught.value.extensions() == {"tasks": ["animals", "identity", "inpaint", "plants"]}


def test_what_is_in_flight_keeps_its_version(tasks: Tasks, tmp_path: Path) -> None:
    registry, writes = registry_of(tasks, 4), Writes()
    make_residual(tmp_path / "new", "identity", "t" * 64, seed=9, width=8, classes=2)
    old, new = registry.task("identity"), InstalledTask.of(load_any(tmp_path / "new"))
    assert not registry.classifies("identity")
    with registry.pinned(old, writes) as slot:
        registry.install(new)
        assert registry.task("identity") is new
        assert registry.classifies("identity")
        with registry.pinned(registry.task("identity"), writes) as other:
            assert other != slot
        registry.remove("identity")
        assert registry.names() == ["animals", "inpaint", "plants"]
        assert not registry.classifies("identity")
        with registry.pinned(old, writes) as again:
            assert again == slot
    assert writes == [(slot, old.content), (other, new.content)]


def test_a_version_out_of_service_is_back_with_another_alone(tasks: Tasks, tmp_path: Path) -> None:
    registry = registry_of(tasks, 4)
    make_artifact(tmp_path / "new", "identity", "m", seed=9)
    old, new = registry.task("identity"), InstalledTask.of(load_any(tmp_path / "new"))
    assert registry.take_out(old)
    registry.install(InstalledTask.of(load_any(tmp_path / "identity")))
    with pytest.raises(FaultyTask, match="Task identity is out of service"):
        registry.served("identity")
    assert registry.task("identity").hash == old.hash
    assert registry.served("inpaint") is tasks["inpaint"]
    registry.install(new)
    assert registry.served("identity") is new
    assert not registry.take_out(old), "its name means another by now"
    assert registry.take_out(new)
    registry.remove("identity")
    assert registry.faulty == {}
    registry.install(new)
    assert registry.served("identity") is new


def test_info_tells_what_the_file_knows(tasks: Tasks) -> None:
    registry = registry_of(tasks, 2)
    info = registry.task("inpaint").info
    assert (info.name, info.artifact, info.kind, info.classes) == ("inpaint", tasks["inpaint"].hash, "painting", None)
    assert info.metric == {"name": "iou", "value": 0.5}
    assert info.created == "2026-01-01T00:00:00Z"
    other = registry.task("animals").info
    assert (other.kind, other.classes) == ("classification", 3)
