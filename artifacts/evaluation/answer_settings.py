"""Answer settings of a task, chosen on validation episodes with its vector."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from artifacts.data.episodes import Episodes
from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.quality import chroma_share
from artifacts.forward import decoded, device_of, episode_logits, refined
from artifacts.progress import Progress
from artifacts.tasks.task import Task
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.task_vector import OTSU, AnswerSettings, TaskVector
from engine.threshold import cut

TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 1.0)
BEST_TEMPERATURES = 2
GUIDED = tuple((radius, eps) for radius in (8, 16, 24, 32) for eps in (1e-4, 1e-3))
SMOOTH_GUIDED = ((32, 1e-4, 3), (64, 1e-5, 6))
"""Fitted on both smoothed: for answers that are as detailed as their queries."""
GRABCUT = ((8, 1e-4), (16, 1e-4), (20, 1e-4), (24, 1e-4), (32, 1e-4))
LUMA_GUIDED = ((8, 1e-3), (32, 1e-3))
CHROMA = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5)
DETAIL = (0.25, 0.5, 0.75, 1.0)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, OTSU)
LEAST_CHROMA = 1 / 3
"""Of the true colours' strength: gray has the smaller error until a model knows its colours well."""


def refinements(task: Task, temperature: float) -> Iterator[AnswerSettings]:
    """Every refinement that makes sense for a task."""
    if "hole" in task.refinements:
        for detail in DETAIL:
            yield AnswerSettings(temperature, "hole", detail=detail)
    if "luma" in task.refinements:
        for radius, eps in LUMA_GUIDED:
            for chroma in CHROMA:
                yield AnswerSettings(temperature, "luma", radius, eps, chroma=chroma)
    if "guided" in task.refinements:
        for radius, eps in GUIDED:
            yield AnswerSettings(temperature, "guided", radius, eps)
        for radius, eps, smooth in SMOOTH_GUIDED:
            yield AnswerSettings(temperature, "guided", radius, eps, smooth=smooth)
    if "grabcut" in task.refinements:
        for radius, eps in GRABCUT:
            yield AnswerSettings(temperature, "grabcut", radius, eps)


def thresholds(task: Task, refine: str) -> tuple[float | str | None, ...]:
    """Where a task's answers may be cut; what is black and white already is cut where other refinements do well."""
    if task.metric != "iou":
        return (None,)
    return (OTSU,) if refine == "grabcut" else THRESHOLDS


def choose_settings(
    model: MaeVqgan, task: Task, vector: TaskVector, validation: Episodes, progress: Progress
) -> TaskVector:
    """The vector with the settings that score best on the validation episodes.

    Temperatures are tried unrefined first; refinements at the best two of them. Masks are scored as they are cut.
    Of answers to gray queries those with a third of the true colours come first.
    """
    logits = episode_logits(model, validation, vector, one_shot=False)
    metric, device = METRICS[task.metric], device_of(model)
    cells = {temperature: decoded(model, logits, temperature) for temperature in TEMPERATURES}

    def losses(settings: AnswerSettings) -> Iterator[tuple[AnswerSettings, tuple[bool, float]]]:
        painted = refined(cells[settings.temperature], validation.query, settings, device)
        pale = "luma" in task.refinements and chroma_share(painted, validation.answer) < LEAST_CHROMA
        for threshold in thresholds(task, settings.refine):
            out = painted if threshold is None else _cut_all(painted, threshold)
            loss = metric.as_loss(float(metric.score(out, validation.answer).mean()))
            yield replace(settings, threshold=threshold), (pale, loss)

    tried = dict(pair for temperature in TEMPERATURES for pair in losses(AnswerSettings(temperature)))
    ranked = dict.fromkeys(settings.temperature for settings in sorted(tried, key=tried.__getitem__))
    for temperature in list(ranked)[:BEST_TEMPERATURES]:
        tried |= dict(pair for settings in refinements(task, temperature) for pair in losses(settings))
    best = min(tried, key=tried.__getitem__)
    score = metric.as_loss(tried[best][1])
    progress(f"{task.name}: {best} scores {score:.4f} on {len(validation)} validation episodes")
    return replace(vector, answer=best)


def _cut_all(painted: Pixels, threshold: float | str) -> Pixels:
    return np.stack([cut(picture, threshold) for picture in painted])
