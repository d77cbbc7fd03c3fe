"""Training inputs for the MAE: prompts of every task and cross task, laid out on canvases."""

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
    pair, masked = _draw_pairs(sampler, count)
    example, drawn = sampler.draw_with(masked).scene, sampler.draw_with(masked)
    query = replace(drawn.scene, hole=example.hole, light=example.light)
    canvas = _white(geometry, count)
    _fill(canvas, pair, geometry, (Quadrant.EXAMPLE_INPUT, Quadrant.EXAMPLE_OUTPUT), example)
    _fill(canvas, pair, geometry, (Quadrant.QUERY, Quadrant.ANSWER), query)
    return Prompts(canvas, pair, drawn)


def draw_queries(sampler: SceneSampler, geometry: Geometry, count: int, *, alike: bool = False) -> Prompts:
    """Queries with their answers, the example's cells white: for batches that show the query alone.

    `alike`: every pair as often as any other. Where nothing tells the task, the model learns what is asked most: with
    half of the pairs asking for masks it would paint masks unasked.
    """
    pair, masked = _draw_pairs(sampler, count, alike)
    drawn = sampler.draw_with(masked)
    canvas = _white(geometry, count)
    _fill(canvas, pair, geometry, (Quadrant.QUERY, Quadrant.ANSWER), drawn.scene)
    return Prompts(canvas, pair, drawn)


def _draw_pairs(sampler: SceneSampler, count: int, alike: bool = False) -> tuple[Tensor, Tensor]:
    """The number of each row's pair of views, and whether it shows the foreground: [B] both."""
    pairs, weights = task_pairs()
    pair = torch.multinomial(
        torch.tensor([1.0] * len(pairs) if alike else weights), count, replacement=True, generator=sampler.generator
    )
    return pair, torch.tensor([bool(MASKED & set(views)) for views in pairs])[pair]


def _white(geometry: Geometry, count: int) -> Tensor:
    return torch.ones(count, 3, geometry.image_size, geometry.image_size)


def _fill(canvas: Tensor, pair: Tensor, geometry: Geometry, quadrants: tuple[Quadrant, Quadrant], scene: Scene) -> None:
    """Paint two cells of each row of canvases [B,3,S,S]: both views of its pair."""
    for index, views in enumerate(task_pairs()[0]):
        rows = (pair == index).nonzero()[:, 0]
        if len(rows):
            some = rows_of(scene, rows)
            for quadrant, view in zip(quadrants, views, strict=True):
                ys, xs = geometry.cell_box(quadrant)
                canvas[rows, :, ys, xs] = view(some)
