"""Training inputs for the MAE: prompts of every task and cross task, laid out on canvases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from artifacts.tasks import TASKS
from artifacts.tasks.cross import CROSS_SHARE, CROSS_TASKS
from artifacts.tasks.scene import Scene
from artifacts.tasks.views import View, blank, cutout, inverse_mask, mask, tinted_mask
from engine.geometry import Geometry, Quadrant
from training.batches import Drawn, SceneSampler, rows_of

MASKED: frozenset[View] = frozenset({mask, inverse_mask, tinted_mask, cutout, blank})
"""Views that show the foreground: only scenes that know theirs are drawn for them."""


def task_pairs() -> tuple[list[tuple[View, View]], list[float]]:
    """All (query view, answer view) pairs, and how often each is drawn, relative to the others."""
    trained = [task for task in TASKS.values() if task.training_share]
    pairs = [(task.source, task.target) for task in trained] + list(CROSS_TASKS)
    return pairs, [task.training_share for task in trained] + [CROSS_SHARE / len(CROSS_TASKS)] * len(CROSS_TASKS)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Solved canvases [B,3,S,S] in [0, 1], the number of each row's pair of views [B], and the queries as drawn."""

    canvas: Tensor
    pair: Tensor
    query: Drawn


def draw_prompts(sampler: SceneSampler, geometry: Geometry, count: int) -> Prompts:
    """Example and query share the pair of views, the place of the hole and the light."""
    pairs, weights = task_pairs()
    pair = torch.multinomial(torch.tensor(weights), count, replacement=True, generator=sampler.generator)
    masked = torch.tensor([bool(MASKED & set(views)) for views in pairs])[pair]
    example, drawn = sampler.draw_with(masked).scene, sampler.draw_with(masked)
    query = replace(drawn.scene, hole=example.hole, light=example.light)
    canvas = torch.ones(count, 3, geometry.image_size, geometry.image_size)
    for index, views in enumerate(pairs):
        rows = (pair == index).nonzero()[:, 0]
        if len(rows):
            fill_canvases(canvas, rows, geometry, rows_of(example, rows), rows_of(query, rows), views)
    return Prompts(canvas, pair, drawn)


def fill_canvases(
    canvas: Tensor, rows: Tensor, geometry: Geometry, example: Scene, query: Scene, views: Sequence[View]
) -> None:
    """Paint the four cells of `rows` of white canvases [B,3,S,S]."""
    cells = (views[0](example), views[1](example), views[0](query), views[1](query))
    for quadrant, cell in zip(Quadrant, cells, strict=True):
        ys, xs = geometry.cell_box(quadrant)
        canvas[rows, :, ys, xs] = cell
