"""A glance at a model in training: one-shot and bare zero-shot on held-out scenes, per task."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.data.scenes import Scenes
from artifacts.evaluation.metrics import METRICS
from artifacts.tasks import TASKS
from artifacts.tasks.scene import Scene, random_holes
from engine.device import fast_autocast
from engine.geometry import Quadrant
from engine.model import MaeVqgan
from engine.program import Scope
from training.batches import SceneSampler

TEMPERATURE = 0.5


@torch.no_grad()
def quick_evaluation(model: MaeVqgan, scenes: Scenes, count: int) -> str:
    """One line: per task the one-shot metric, argmax / expected code."""
    sampler = SceneSampler(scenes, 5, 0)
    pictures = torch.from_numpy(scenes.pictures[: 2 * count].copy()).permute(0, 3, 1, 2).float() / 255
    masks = torch.from_numpy(scenes.masks[: 2 * count].copy())[:, None].float()
    holes = random_holes(count, model.geometry.cell, sampler.generator)
    parts = []
    for task in TASKS.values():
        example = Scene(pictures[:count], masks[:count], holes)
        query = Scene(pictures[count : 2 * count], masks[count : 2 * count], holes)
        cells = (task.source(example), task.target(example), task.source(query), task.target(query))
        figures = [_score(model, cells, task.metric, temperature) for temperature in (0.0, TEMPERATURE)]
        parts.append(f"{task.name} {figures[0]:.3f}/{figures[1]:.3f}")
    return ", ".join(parts)


def _score(model: MaeVqgan, cells: tuple[Tensor, ...], metric: str, temperature: float) -> float:
    geometry, scores = model.geometry, []
    device = next(model.parameters()).device
    for start in range(0, len(cells[0]), 32):
        part = [cell[start : start + 32] for cell in cells]
        canvas = torch.ones(len(part[0]), 3, geometry.image_size, geometry.image_size)
        for quadrant, cell in zip(Quadrant, part, strict=True):
            rows, columns = geometry.cell_box(quadrant)
            canvas[..., rows, columns] = cell
        with fast_autocast(device):
            logits = model.logits("one_shot", model.normalise(canvas.to(device)), scope=Scope.ANSWER)
        vectors = model.vectors(logits.float(), torch.full((len(canvas),), temperature, device=device))
        answers = model.answer_cell(model.decode("one_shot", vectors, Scope.ANSWER))
        scores.append(METRICS[metric].score(to_uint8(answers), to_uint8(part[3])))
    return float(np.mean(np.concatenate(scores)))


def to_uint8(pixels: Tensor) -> NDArray[np.uint8]:
    """[B,3,H,W] in [0, 1] -> uint8 [B,H,W,3], rounded."""
    array: NDArray[np.uint8] = (pixels * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return array
