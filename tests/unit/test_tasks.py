"""Tasks: one file each, and that file is all a new one needs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.data.datasets import find_task
from artifacts.data.episodes import make_episodes
from artifacts.data.scenes import Scenes
from artifacts.evaluation.table import COPY, evaluate_task
from artifacts.tasks import COMPOSITES, TASKS, defined, definitions
from artifacts.tasks.task import Task
from engine.geometry import Geometry, Quadrant
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings
from tests.support import TINY
from training.batches import SceneSampler
from training.prompts import draw_prompts

DEFINITION = """
from artifacts.tasks.task import Task
from artifacts.tasks.views import picture


def quarter(scene):
    return scene.picture / 4


TASK = Task("quarter_light", picture, quarter, "mse", "A quarter of the light.", training_share=1e9)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A second folder of definitions."""
    monkeypatch.setattr(definitions, "__path__", [*definitions.__path__, str(tmp_path)])
    known = set(sys.modules)
    yield tmp_path
    for name in [name for name in set(sys.modules) - known if name.startswith(definitions.__name__)]:
        del sys.modules[name]


@pytest.fixture
def task(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task that exists because its file does."""
    (folder / "quarter_light.py").write_text(DEFINITION)
    found = {task.name: task for task in defined()}
    assert found.keys() - {"quarter_light"} == TASKS.keys() | COMPOSITES.keys()
    monkeypatch.setitem(TASKS, "quarter_light", found["quarter_light"])
    return found["quarter_light"]


def scenes() -> Scenes:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 111, 111, 3), dtype=np.uint8)
    return Scenes(pictures, np.zeros(pictures.shape[:3], np.uint8))


def test_a_new_task_has_episodes_and_is_scored(task: Task) -> None:
    assert find_task("quarter_light", "demo") is task
    episodes = make_episodes(scenes(), task, 3, 0)
    assert np.abs(episodes.answer.astype(int) - episodes.query // 4).max() <= 1
    torch.manual_seed(0)
    model = MaeVqgan(TINY).eval().requires_grad_(False)
    result = evaluate_task(model, task, episodes, {}, AnswerSettings(), np.zeros(3, np.uint8))
    assert result.chosen[COPY].mean > 0.5
    assert all(np.isfinite(value.mean) for value in result.chosen.values())


def test_training_draws_a_new_task(task: Task) -> None:
    geometry = Geometry()
    canvas = draw_prompts(SceneSampler(scenes(), 0, 0), geometry, 2).canvas  # its share leaves the others no chance
    for query, answer in ((Quadrant.EXAMPLE_INPUT, Quadrant.EXAMPLE_OUTPUT), (Quadrant.QUERY, Quadrant.ANSWER)):
        cells = [canvas[:, :, rows, columns] for rows, columns in map(geometry.cell_box, (query, answer))]
        torch.testing.assert_close(cells[1], cells[0] / 4)


def test_training_never_draws_a_task_without_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "never", Task("never", _fail, _fail, "mse", "Never drawn."))
    assert draw_prompts(SceneSampler(scenes(), 0, 0), Geometry(), 64).canvas.shape == (64, 3, 224, 224)


def test_a_file_is_named_as_its_task(folder: Path) -> None:
    (folder / "half_light.py").write_text(DEFINITION)
    with pytest.raises(ValueError, match=r"half_light\.py defines the task 'quarter_light'"):
        list(defined())


def test_what_is_built_and_trained_without_being_named() -> None:
    assert list(TASKS) == ["colorization", "identity", "inpaint", "lowlight_enhance", "segmentation"]
    assert sum(task.training_share for task in TASKS.values()) == pytest.approx(0.74)
    assert all(part in TASKS for task in COMPOSITES.values() for part in task.parts)


def _fail(_: object) -> torch.Tensor:
    raise AssertionError
