"""Training inputs for the MAE: prompts of every task and cross task, laid out on canvases."""

from collections.abc import Sequence

import torch
from torch import Tensor

from artifacts.tasks import TASKS
from artifacts.tasks.cross import CROSS_SHARE, CROSS_TASKS
from artifacts.tasks.scene import Scene
from artifacts.tasks.views import View
from engine.geometry import Geometry, Quadrant
from training.batches import SceneSampler


def task_pairs() -> tuple[list[tuple[View, View]], list[float]]:
    """All (query view, answer view) pairs, and how often each is drawn, relative to the others."""
    trained = [task for task in TASKS.values() if task.training_share]
    pairs = [(task.source, task.target) for task in trained] + list(CROSS_TASKS)
    return pairs, [task.training_share for task in trained] + [CROSS_SHARE / len(CROSS_TASKS)] * len(CROSS_TASKS)


def draw_prompts(sampler: SceneSampler, geometry: Geometry, count: int) -> Tensor:
    """Solved canvases [count,3,S,S] in [0, 1]; example and query share task and place of the hole."""
    pairs, weights = task_pairs()
    choice = torch.multinomial(torch.tensor(weights), count, replacement=True, generator=sampler.generator)
    example, query = sampler.draw(count), sampler.draw(count)
    query = Scene(query.picture, query.mask, example.hole)
    canvas = torch.ones(count, 3, geometry.image_size, geometry.image_size)
    for index, (source, target) in enumerate(pairs):
        rows = (choice == index).nonzero()[:, 0]
        if len(rows):
            fill_canvases(canvas, rows, geometry, _rows(example, rows), _rows(query, rows), (source, target))
    return canvas


def fill_canvases(
    canvas: Tensor, rows: Tensor, geometry: Geometry, example: Scene, query: Scene, views: Sequence[View]
) -> None:
    """Paint the four cells of `rows` of white canvases [B,3,S,S]."""
    cells = (views[0](example), views[1](example), views[0](query), views[1](query))
    for quadrant, cell in zip(Quadrant, cells, strict=True):
        ys, xs = geometry.cell_box(quadrant)
        canvas[rows, :, ys, xs] = cell


def _rows(scene: Scene, rows: Tensor) -> Scene:
    return Scene(scene.picture[rows], scene.mask[rows], scene.hole[rows])
