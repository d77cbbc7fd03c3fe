"""`vtv evaluate`: every way to answer, on the same held-out episodes, with floors and controls."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from artifacts.episodes import Episodes, Pixels, to_pixels
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.metrics import HIGHER_IS_BETTER, METRICS
from artifacts.forward import BATCH, REFINED_AT_ONCE, answer_codes, answers, device_of, episode_logits, to_planes
from artifacts.tasks import Task
from engine.model import MaeVqgan
from engine.refine import refine_batch
from engine.task_vector import PUBLISHED_ANSWER, AnswerSettings, TaskVector

ONE_SHOT, BARE, VECTOR = "one-shot", "zero-shot, no vector", "zero-shot, task vector"
TOKENIZER, COPY = "tokenizer floor", "copy the input"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Scores of one task: per way to answer, at the published settings and at the chosen ones.

    `gains`: by how much the task vector is better than each other way at the chosen settings, paired by episode
    (positive is better, whatever the metric). `pictures` are the answers of the first episodes at the chosen
    settings, for the grids.
    """

    task: str
    metric: str
    settings: AnswerSettings
    published: dict[str, Interval]
    chosen: dict[str, Interval]
    gains: dict[str, Interval]
    episodes: int
    pictures: dict[str, Pixels]


def evaluate_task(
    model: MaeVqgan,
    task: Task,
    episodes: Episodes,
    vectors: Mapping[str, TaskVector],
    settings: AnswerSettings,
    keep: int = 6,
) -> TaskResult:
    """Score one-shot, bare zero-shot and each named vector; floors beside them."""
    logits = {
        ONE_SHOT: episode_logits(model, episodes, None, one_shot=True),
        BARE: episode_logits(model, episodes, None, one_shot=False),
        **{name: episode_logits(model, episodes, vector, one_shot=False) for name, vector in vectors.items()},
    }
    published: dict[str, Interval] = {}
    chosen: dict[str, Interval] = {}
    pictures: dict[str, Pixels] = {}
    scores: dict[str, NDArray[np.float64]] = {}
    for name, value in logits.items():
        for table, how in ((published, PUBLISHED_ANSWER), (chosen, settings)):
            painted = answers(model, value, episodes.query, how)
            scores[name] = METRICS[task.metric](painted, episodes.answer)
            table[name] = interval(scores[name])
        pictures[name] = painted[:keep]
    plain = replace(settings, temperature=0.0)
    floor = tokenizer_answers(model, episodes)
    for table, painted in ((published, floor), (chosen, refined(model, floor, episodes, plain))):
        table[TOKENIZER] = interval(METRICS[task.metric](painted, episodes.answer))
        table[COPY] = interval(METRICS[task.metric](episodes.query, episodes.answer))
    gains = paired_gains(scores, HIGHER_IS_BETTER[task.metric])
    return TaskResult(task.name, task.metric, settings, published, chosen, gains, len(episodes), pictures)


def paired_gains(scores: Mapping[str, NDArray[np.float64]], higher_is_better: bool) -> dict[str, Interval]:
    """Per-episode advantage of the task vector over every other way; empty without a task vector."""
    if VECTOR not in scores:
        return {}
    sign = 1 if higher_is_better else -1
    return {name: interval(sign * (scores[VECTOR] - other)) for name, other in scores.items() if name != VECTOR}


@torch.inference_mode()
def tokenizer_answers(model: MaeVqgan, episodes: Episodes) -> Pixels:
    """The truth through the tokenizer: what no prediction of codes can beat unrefined."""
    half = model.geometry.half
    codes = answer_codes(model, episodes.answer).split(BATCH)
    return np.concatenate([to_pixels(model.answer_cell(model.vae.decode(part, half, half))) for part in codes])


def refined(model: MaeVqgan, painted: Pixels, episodes: Episodes, settings: AnswerSettings) -> Pixels:
    """Answers uint8 [N,cell,cell,3] refined by their queries."""
    device, out = device_of(model), []
    for start in range(0, len(painted), REFINED_AT_ONCE):
        rows = slice(start, start + REFINED_AT_ONCE)
        planes = refine_batch(to_planes(painted[rows], device), to_planes(episodes.query[rows], device), settings)
        out.append(to_pixels(planes))
    return np.concatenate(out)
