"""Answers at the size of the query's own picture, against truth of that size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.borders import boundary_f
from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.ways import BARE, COPY, ONE_SHOT
from artifacts.forward import answers, episode_logits
from artifacts.tasks.task import Task
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.task_vector import PUBLISHED_ANSWER, AnswerSettings, TaskVector

EPISODES = 100
AT_ONCE = 10
"""Episodes held in memory at full size."""


@dataclass(frozen=True, slots=True)
class FullSize:
    """Scores at `side` px, per way to answer, with the published settings (enlarged) and the chosen ones.

    `borders`: of masks, the boundary F-measure with the chosen settings.
    """

    side: int
    episodes: int
    published: dict[str, Interval]
    chosen: dict[str, Interval]
    borders: dict[str, Interval]


def evaluate_full_size(
    model: MaeVqgan,
    task: Task,
    scenes: Scenes,
    seed: int,
    vectors: Mapping[str, TaskVector],
    settings: AnswerSettings,
    count: int = EPISODES,
) -> FullSize:
    """Score episodes of scenes at full size: the query is shrunk for the model, the answer enlarged or refined."""
    scores: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for full in _parts(scenes, task, count, seed):
        small = shrunk(full, model.geometry.cell, sharp=task.metric == "iou")
        logits = {
            ONE_SHOT: episode_logits(model, small, None, one_shot=True),
            BARE: episode_logits(model, small, None, one_shot=False),
            **{name: episode_logits(model, small, vector, one_shot=False) for name, vector in vectors.items()},
        }
        for table, how in (("published", PUBLISHED_ANSWER), ("chosen", settings)):
            for name, value in logits.items():
                painted = answers(model, value, full.query, how)
                scores.setdefault((table, name), []).append(METRICS[task.metric].score(painted, full.answer))
                if task.metric == "iou" and table == "chosen":
                    scores.setdefault(("borders", name), []).append(boundary_f(painted, full.answer))
            scores.setdefault((table, COPY), []).append(METRICS[task.metric].score(full.query, full.answer))
        if task.metric == "iou":
            scores.setdefault(("borders", COPY), []).append(boundary_f(full.query, full.answer))
    tables: dict[str, dict[str, Interval]] = {"published": {}, "chosen": {}, "borders": {}}
    for (table, name), parts in scores.items():
        tables[table][name] = interval(np.concatenate(parts))
    return FullSize(scenes.pictures.shape[1], count, **tables)


def shrunk(full: Episodes, side: int, *, sharp: bool) -> Episodes:
    """Episodes at the model's size: bicubic, but masks (`sharp`) by the nearest pixel."""
    target = Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC
    plain = Image.Resampling.BICUBIC
    return Episodes(
        _resized(full.example_input, side, plain),
        _resized(full.example_output, side, target),
        _resized(full.query, side, plain),
        _resized(full.answer, side, target),
    )


def _resized(pixels: Pixels, side: int, how: Image.Resampling) -> Pixels:
    return np.stack([np.asarray(Image.fromarray(picture).resize((side, side), how)) for picture in pixels])


def _parts(scenes: Scenes, task: Task, count: int, seed: int) -> Iterator[Episodes]:
    for number, start in enumerate(range(0, count, AT_ONCE)):
        yield make_episodes(scenes, task, min(AT_ONCE, count - start), seed + 1000 * number)
