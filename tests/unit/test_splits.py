"""What is made on some scenes is chosen on others and reported on yet others, all through the offline job."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.data.datasets import held_out_scenes, splits
from artifacts.data.episodes import Episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError
from artifacts.evaluate import EvaluateOptions, evaluate_split
from artifacts.job import (
    Job,
    calibration_episodes,
    candidate_prompts,
    held_out_episodes,
    mean_answer,
    search_episodes,
    validation_episodes,
)
from artifacts.search.settings import SearchSettings
from artifacts.tasks import TASKS
from engine.geometry import Geometry, Pixels
from engine.model import MaeVqgan
from tests.support import TINY

LEVELS = {"search": {10, 30, 50, 70}, "validation": {90, 110, 130}, "test": {150, 170, 190}}
"""Every scene is one gray level, by which its episodes are known."""


def levels(pictures: Pixels) -> set[int]:
    """The gray levels of pictures of one level each."""
    assert (pictures == pictures[:, :1, :1, :1]).all()
    return set(pictures[:, 0, 0, 0].tolist())


def scenes(of: set[int]) -> Scenes:
    pictures = np.stack([np.full((111, 111, 3), level, np.uint8) for level in sorted(of)])
    return Scenes(pictures, np.zeros(pictures.shape[:3], np.uint8))


@pytest.fixture(scope="module")
def job() -> Job:
    torch.manual_seed(0)
    model = MaeVqgan(TINY).eval().requires_grad_(False)
    parts = {part: scenes(of) for part, of in LEVELS.items()}
    return Job(model, "f", parts, "levels", Path(), SearchSettings(), lambda _: None)


def shown(episodes: Episodes) -> set[int]:
    """Levels of all queries and examples, which the task `identity` leaves as they are."""
    assert levels(episodes.answer) <= levels(episodes.query)
    return levels(episodes.query) | levels(episodes.example_input)


def test_each_part_of_the_job_keeps_to_its_split(job: Job) -> None:
    task = TASKS["identity"]
    assert shown(candidate_prompts(job, task)) == LEVELS["search"]
    assert shown(search_episodes(job, task)) == LEVELS["search"]
    assert shown(validation_episodes(job, task)) == LEVELS["validation"]
    assert shown(calibration_episodes(job, task)) == LEVELS["validation"]
    assert shown(held_out_episodes(job, task, 6)) == LEVELS["test"]


def test_pictures_in_other_colours_keep_to_their_split(job: Job) -> None:
    task = TASKS["colorization"]
    assert task.recolour
    near = {level + off for level in LEVELS["validation"] for off in (-1, 0, 1)}  # to YIQ and back it is rounded
    assert levels(validation_episodes(job, task).query) <= near


def test_evaluate_scores_the_test_split(job: Job, tmp_path: Path) -> None:
    options = EvaluateOptions("demo", tmp_path, 5, tasks=["identity"], only="one-shot")
    ((result, episodes),) = evaluate_split(options, job, None)
    assert result.episodes == 5
    assert list(result.chosen) == ["one-shot"]
    assert shown(episodes) <= LEVELS["test"]


def test_the_floor_of_one_colour_has_not_seen_the_test_split(job: Job) -> None:
    assert mean_answer(job, TASKS["identity"]).tolist() == [40, 40, 40]


def voc(root: Path, count: int = 16) -> Path:
    """A VOC2012-layout folder in which picture i has the gray level 10 i; the last quarter is its `val`."""
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    names = [f"p{index:02d}" for index in range(count)]
    for index, name in enumerate(names):
        Image.fromarray(np.full((16, 16, 3), 10 * index, np.uint8)).save(root / f"JPEGImages/{name}.jpg", quality=100)
        Image.fromarray(np.ones((16, 16), np.uint8)).save(root / f"SegmentationClassAug/{name}.png")
    cut = count * 3 // 4
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(names[:cut]))
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(names[cut:]))
    return root


def tuned(root: Path) -> Path:
    """The same, with the last four pictures of `train` in a list of their own, `tune`."""
    lists = voc(root) / "ImageSets/Segmentation"
    names = (lists / "train.txt").read_text().split()
    (lists / "train.txt").write_text("\n".join(names[:-4]))
    (lists / "tune.txt").write_text("\n".join(names[-4:]))
    return root


def pairs(root: Path, count: int = 16) -> Path:
    """A folder of pairs: level 10 i becomes itself."""
    for folder in ("input", "output"):
        (root / folder).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.full((16, 16, 3), 10 * index, np.uint8)).save(root / folder / f"p{index:02d}.png")
    return root


@pytest.mark.parametrize(
    ("layout", "fold"),
    [(voc, None), (tuned, None), (voc, 0), (pairs, None)],
    ids=["voc", "voc with a list to choose on", "fold", "pairs"],
)
def test_no_picture_is_in_two_splits(tmp_path: Path, layout: object, fold: int | None) -> None:
    assert callable(layout)
    root = layout(tmp_path / "data")
    parts = {name: levels(part.pictures) for name, part in splits(str(root), Geometry(), fold).items()}
    assert list(parts) == ["search", "validation", "test"]
    assert sum(map(len, parts.values())) == 16
    assert set.union(*parts.values()) == {10 * index for index in range(16)}
    held_out = held_out_scenes(str(root), 20, fold, 16)
    assert levels(held_out.pictures) == parts["test"]


def test_choices_are_made_on_the_list_that_is_for_them(tmp_path: Path) -> None:
    parts = splits(str(tuned(tmp_path / "data")), Geometry())
    assert [len(part) for part in parts.values()] == [8, 4, 4]
    assert levels(parts["validation"].pictures) == {80, 90, 100, 110}


def test_a_list_to_choose_on_that_is_too_short_is_named(tmp_path: Path) -> None:
    root = tuned(tmp_path / "data")
    (root / "ImageSets/Segmentation/tune.txt").write_text("p08")
    with pytest.raises(DatasetError, match=r"tune\.txt lists too few pictures: 1 for validation"):
        splits(str(root), Geometry())
