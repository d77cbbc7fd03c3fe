"""`vtv evaluate`: every way to answer, on the same held-out episodes, with floors and controls."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from artifacts.console import keep_quiet
from artifacts.data.episodes import Episodes, to_pixels
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.classes import class_iou
from artifacts.evaluation.full_size import FullSize
from artifacts.evaluation.metrics import METRICS, Metric, both_empty
from artifacts.evaluation.quality import QUALITY
from artifacts.evaluation.ways import BARE, CONSTANT, COPY, ONE_SHOT, TOKENIZER, VECTOR
from artifacts.forward import BATCH, answer_codes, answers, device_of, episode_logits, refined
from artifacts.progress import Progress, Steps
from artifacts.tasks.task import Task
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.task_vector import PUBLISHED_ANSWER, AnswerSettings, TaskVector


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task: per way to answer, at the published settings and at the chosen ones.

    `gains`: by how much the task vector is better than each other way at the chosen settings, paired by episode
    (positive is better, whatever the metric). `pictures` are the answers of the first episodes at the chosen
    settings, for the grids. `quality`: of pixel tasks, other measures by way and name, at the chosen settings;
    `classes`: of segmentation, the IoU of each class by way, where classes are known. `empty`: of segmentation, how
    many of a way's answers were empty where the truth is too, which counts as 1. `full`: at full size.
    """

    task: str
    metric: str
    settings: AnswerSettings
    published: dict[str, Interval]
    chosen: dict[str, Interval]
    gains: dict[str, Interval]
    episodes: int
    pictures: dict[str, Pixels]
    quality: dict[str, dict[str, Interval]]
    classes: dict[str, dict[int, float]]
    empty: dict[str, int]
    full: FullSize | None = None


def evaluate_task(
    model: MaeVqgan,
    task: Task,
    episodes: Episodes,
    vectors: Mapping[str, TaskVector],
    settings: AnswerSettings,
    colour: Pixels,
    keep: int = 6,
    progress: Progress = keep_quiet,
) -> TaskResult:
    """Score one-shot, bare zero-shot and each named vector; floors beside them.

    `colour` uint8 [3] is what the last floor paints everywhere: the mean over answers that are not of the test.
    """
    ways: dict[str, TaskVector | None] = {ONE_SHOT: None, BARE: None, **vectors}
    shown = Steps(f"{task.name}: evaluate", len(ways), 0, progress)
    logits = {}
    for name, vector in ways.items():
        logits[name] = episode_logits(model, episodes, vector, one_shot=name == ONE_SHOT)
        shown.update(name)
    shown.close()
    floor = tokenizer_answers(model, episodes)
    same = {COPY: episodes.query, CONSTANT: np.broadcast_to(colour, episodes.answer.shape)}
    metric = METRICS[task.metric]
    painted = {name: answers(model, value, episodes.query, PUBLISHED_ANSWER) for name, value in logits.items()}
    published = {
        name: interval(metric.score(p, episodes.answer)) for name, p in ({**painted, TOKENIZER: floor} | same).items()
    }
    painted = {name: answers(model, value, episodes.query, settings) for name, value in logits.items()}
    pictures = {name: value[:keep] for name, value in painted.items()}
    painted |= {TOKENIZER: refined(floor, episodes.query, settings, device_of(model))} | same
    scores = {name: metric.score(value, episodes.answer) for name, value in painted.items()}
    gains = paired_gains({name: scores[name] for name in logits}, metric)
    chosen = {name: interval(value) for name, value in scores.items()}
    masks = painted if task.metric == "iou" else {}
    return TaskResult(
        task.name,
        task.metric,
        settings,
        published,
        chosen,
        gains,
        len(episodes),
        pictures,
        quality={} if masks else qualities(painted, episodes),
        classes={} if episodes.labels is None else by_class(masks, episodes.answer, episodes.labels),
        empty={name: int(both_empty(value, episodes.answer).sum()) for name, value in masks.items()},
    )


def by_class(masks: Mapping[str, Pixels], truths: Pixels, labels: NDArray[np.int64]) -> dict[str, dict[int, float]]:
    """IoU of each class by way."""
    return {name: class_iou(value, truths, labels) for name, value in masks.items()}


def qualities(painted: Mapping[str, Pixels], episodes: Episodes) -> dict[str, dict[str, Interval]]:
    """Other measures of answers by way."""
    return {
        way: {name: interval(measure(value, episodes.answer)) for name, measure in QUALITY.items()}
        for way, value in painted.items()
    }


def paired_gains(scores: Mapping[str, NDArray[np.float64]], metric: Metric) -> dict[str, Interval]:
    """Per-episode advantage of the task vector over every other way; empty without a task vector."""
    if VECTOR not in scores:
        return {}
    own = scores[VECTOR]
    return {name: interval(metric.as_loss(other - own)) for name, other in scores.items() if name != VECTOR}


@torch.inference_mode()
def tokenizer_answers(model: MaeVqgan, episodes: Episodes) -> Pixels:
    """The truth through the tokenizer: what no prediction of codes can beat unrefined."""
    half = model.geometry.half
    codes = answer_codes(model, episodes.answer).split(BATCH)
    return np.concatenate([to_pixels(model.answer_cell(model.vae.decode(part, half, half))) for part in codes])
