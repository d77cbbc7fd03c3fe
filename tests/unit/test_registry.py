"""service.tasks.registry: names to artifacts, artifacts to pinned slots."""

from pathlib import Path

import pytest

from artifacts.store.artifact import Artifact, load_artifact
from engine.task_vector import TaskVector
from service.errors import QueueFull, UnknownTask
from service.tasks.registry import TaskRegistry
from tests.support import make_artifact


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, Artifact]:
    found = {}
    for seed, task in enumerate(("identity", "inpaint", "segmentation")):
        make_artifact(tmp_path / task, task, "m", seed)
        found[task] = load_artifact(tmp_path / task)
    return found


class Writes(list[tuple[int, TaskVector]]):
    def __call__(self, slot: int, vector: TaskVector) -> None:
        self.append((slot, vector))


def test_a_vector_is_written_once_and_stays(artifacts: dict[str, Artifact]) -> None:
    registry, writes = TaskRegistry(artifacts, 4), Writes()
    with registry.pinned(artifacts["identity"], writes) as first:
        pass
    with registry.pinned(artifacts["identity"], writes) as second:
        pass
    assert first == second != 0
    assert writes == [(first, artifacts["identity"].vector)]


def test_a_pinned_slot_is_never_reused(artifacts: dict[str, Artifact]) -> None:
    registry, writes = TaskRegistry(artifacts, 2), Writes()
    identity, inpaint = artifacts["identity"], artifacts["inpaint"]
    with (
        registry.pinned(identity, writes) as slot,
        pytest.raises(QueueFull),
        registry.pinned(inpaint, writes),
    ):
        pass
    with registry.pinned(inpaint, writes) as reused:
        assert reused == slot
    assert registry.slots.pinned == 0


def test_a_slot_is_released_when_the_request_fails(artifacts: dict[str, Artifact]) -> None:
    registry = TaskRegistry(artifacts, 2)
    with pytest.raises(KeyError), registry.pinned(artifacts["identity"], Writes()):
        raise KeyError
    assert registry.slots.pinned == 0


def test_an_unknown_task_lists_the_others(artifacts: dict[str, Artifact]) -> None:
    with pytest.raises(UnknownTask) as caught:
        TaskRegistry(artifacts, 2).artifact("nonesuch")
    assert caught.value.extensions() == {"tasks": ["identity", "inpaint", "segmentation"]}


def test_what_is_in_flight_keeps_its_version(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    registry, writes = TaskRegistry(artifacts, 4), Writes()
    make_artifact(tmp_path / "new", "identity", "m", seed=9)
    old, new = registry.artifact("identity"), load_artifact(tmp_path / "new")
    with registry.pinned(old, writes) as slot:
        registry.install(new)
        assert registry.artifact("identity") is new
        with registry.pinned(registry.artifact("identity"), writes) as other:
            assert other != slot
        registry.remove("identity")
        assert registry.names() == ["inpaint", "segmentation"]
        with registry.pinned(old, writes) as again:
            assert again == slot
    assert writes == [(slot, old.vector), (other, new.vector)]


def test_info_tells_what_the_file_knows(artifacts: dict[str, Artifact]) -> None:
    info = TaskRegistry(artifacts, 2).info("inpaint")
    assert (info.name, info.artifact) == ("inpaint", artifacts["inpaint"].hash)
    assert info.metric == {"name": "iou", "value": 0.5}
    assert info.created == "2026-01-01T00:00:00Z"
