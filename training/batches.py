"""Training batches: scenes drawn at random, jittered and flipped, shown through views and laid out on tiles."""

import numpy as np
import torch
from torch import Tensor

from artifacts.data.scenes import Scenes
from artifacts.errors import TrainingError
from artifacts.tasks import views
from artifacts.tasks.scene import Scene, random_holes
from artifacts.tasks.views import View
from engine.geometry import Geometry, Quadrant


class SceneSampler:
    """Draws jittered scenes; every worker has its own stream from (seed, rank, step)."""

    def __init__(self, scenes: Scenes, seed: int, rank: int) -> None:
        if not len(scenes):
            raise TrainingError("the data set lists no picture for training, or none to judge on")
        self.scenes = scenes
        self.generator = torch.Generator().manual_seed(seed * 1009 + rank)

    def reseed(self, seed: int) -> None:
        """Another stream, as after a resume."""
        self.generator.manual_seed(seed)

    def draw(self, count: int) -> Scene:
        """`count` scenes on the CPU."""
        index = torch.randint(0, len(self.scenes), (count,), generator=self.generator).sort().values.numpy()
        pictures = torch.from_numpy(np.ascontiguousarray(self.scenes.pictures[index])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.ascontiguousarray(self.scenes.masks[index]))[:, None].float()
        order = torch.randperm(count, generator=self.generator)
        pictures, masks = self._flip(pictures.float().div(255)[order], masks[order])
        holes = random_holes(count, masks.shape[-1], self.generator)
        return Scene(self._jitter(pictures), masks, holes)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers of this stream."""
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def _flip(self, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        flip = self.uniform(0, 1, len(pictures)) < 0.5
        for array in (pictures, masks):
            array[flip] = array[flip].flip(-1)
        return pictures, masks

    def _jitter(self, pictures: Tensor) -> Tensor:
        """Gain per channel, contrast and gamma, mild: the photographs are varied already."""
        count = len(pictures)
        gain = self.uniform(0.85, 1.15, count, 1, 1, 1) * self.uniform(0.93, 1.07, count, 3, 1, 1)
        gamma = self.uniform(0.8, 1.25, count, 1, 1, 1)
        return (pictures * gain).clamp(0, 1).pow(gamma)


TILE_VIEWS: tuple[tuple[View, float], ...] = (
    (views.picture, 0.44),
    (views.mask, 0.14),
    (views.gray, 0.08),
    (views.dark, 0.07),
    (views.hole, 0.06),
    (views.inverse_mask, 0.04),
    (views.tinted_mask, 0.04),
    (views.cutout, 0.06),
    (views.negative, 0.04),
    (views.blank, 0.03),
)


def tiles(sampler: SceneSampler, geometry: Geometry, count: int) -> Tensor:
    """Quadrants [count,3,tile,tile] in [0, 1] of all views, half of them at the answer's place."""
    scene = sampler.draw(count)
    weights = torch.tensor([weight for _, weight in TILE_VIEWS])
    choice = torch.multinomial(weights, count, replacement=True, generator=sampler.generator)
    cells = torch.empty_like(scene.picture)
    for index, (view, _) in enumerate(TILE_VIEWS):
        rows = choice == index
        cells[rows] = view(Scene(scene.picture[rows], scene.mask[rows], scene.hole[rows]))
    places = torch.randint(0, 7, (count,), generator=sampler.generator).clamp(max=int(Quadrant.ANSWER))
    out = torch.ones(count, 3, geometry.tile, geometry.tile)
    for quadrant in Quadrant:
        rows = places == quadrant
        ys, xs = geometry.cell_in_tile(quadrant)
        out[rows, :, ys, xs] = cells[rows]
    return out
