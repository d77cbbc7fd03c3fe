"""Training batches: scenes drawn at random, jittered and flipped, shown through views and laid out on tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.scenes import Scenes
from artifacts.errors import TrainingError
from artifacts.tasks import views
from artifacts.tasks.scene import Scene
from artifacts.tasks.views import View
from engine.geometry import Geometry, Quadrant
from training.holes import any_holes

VARIED_LIGHT = 0.3
"""Share of dark pictures that are not half as bright. Were it large, a query would not tell how much to brighten it."""


@dataclass(frozen=True, slots=True)
class Part:
    """The scenes of one data set, how often they are drawn relative to the others', and a teacher's features.

    `features` float16 [N,P,F]: of each scene's picture, by patch, where there are any.
    """

    scenes: Scenes
    share: float = 1.0
    features: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch of scenes; `features` [B,P,F] where `taught` [B] is true, true masks where `known` [B] is."""

    scene: Scene
    features: Tensor | None
    taught: Tensor
    known: Tensor


class SceneSampler:
    """Draws jittered scenes; every worker has its own stream from (seed, rank, step)."""

    def __init__(self, scenes: Scenes | Sequence[Part], seed: int, rank: int) -> None:
        self.parts = [Part(scenes)] if isinstance(scenes, Scenes) else list(scenes)
        if not all(len(part.scenes) for part in self.parts):
            raise TrainingError("the data set lists no picture for training, or none to judge on")
        self.shares = torch.tensor([part.share for part in self.parts])
        self.masked = torch.tensor([bool(part.scenes.masks.any()) for part in self.parts])
        self.masked_shares = self.shares * self.masked if self.masked.any() else self.shares
        self.generator = torch.Generator().manual_seed(seed * 1009 + rank)

    def reseed(self, seed: int) -> None:
        """Another stream, as after a resume."""
        self.generator.manual_seed(seed)

    def draw(self, count: int) -> Scene:
        """`count` scenes with masks on the CPU."""
        return self.draw_with(torch.ones(count, dtype=torch.bool)).scene

    def draw_with(self, masked: Tensor) -> Drawn:
        """A scene for each of `masked` bool [B]; of data sets that know the foreground where it is true."""
        count = len(masked)
        every, known = (
            torch.multinomial(shares, count, replacement=True, generator=self.generator)
            for shares in (self.shares, self.masked_shares)
        )
        chosen = torch.where(masked, known, every)
        side = self.parts[0].scenes.masks.shape[1]
        pictures, masks = np.empty((count, side, side, 3), np.uint8), np.empty((count, side, side), np.uint8)
        features = self._no_features(count)
        taught = torch.zeros(count, dtype=torch.bool)
        for row in range(count):
            part = self.parts[chosen[row]]
            index = int(torch.randint(0, len(part.scenes), (), generator=self.generator))
            pictures[row], masks[row] = part.scenes.pictures[index], part.scenes.masks[index]
            if part.features is not None and features is not None:
                features[row], taught[row] = torch.from_numpy(part.features[index].copy()), True
        picture = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255)
        mask = torch.from_numpy(masks)[:, None].float()
        flip = self.uniform(0, 1, count) < 0.5
        for array in (picture, mask):
            array[flip] = array[flip].flip(-1)
        if features is not None:
            grid = features.unflatten(1, (round(features.shape[1] ** 0.5), -1))
            features = torch.where(flip[:, None, None, None], grid.flip(2), grid).flatten(1, 2)
        scene = Scene(self._jitter(picture), self._soften(mask), any_holes(count, side, self.generator))
        return Drawn(replace(scene, light=self._light(count)), features, taught, self.masked[chosen])

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers of this stream."""
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def _no_features(self, count: int) -> Tensor | None:
        shape = next((part.features.shape[1:] for part in self.parts if part.features is not None), None)
        return None if shape is None else torch.zeros(count, *shape)

    def _light(self, count: int) -> Tensor:
        """Half of the light, but in some rows .3 to .7 of it."""
        varied = self.uniform(0, 1, count, 1, 1, 1) < VARIED_LIGHT
        return torch.where(varied, self.uniform(0.3, 0.7, count, 1, 1, 1), torch.tensor(0.5))

    def _soften(self, mask: Tensor) -> Tensor:
        """The edges of half of the masks, averaged over three pixels."""
        soft = self.uniform(0, 1, len(mask), 1, 1, 1) < 0.5
        return torch.where(soft, F.avg_pool2d(mask, 3, 1, 1, count_include_pad=False), mask)

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


def rows_of(scene: Scene, rows: Tensor) -> Scene:
    """Some rows of a batch of scenes that hold no outputs."""
    light = None if scene.light is None else scene.light[rows]
    return Scene(scene.picture[rows], scene.mask[rows], scene.hole[rows], light=light)


def tiles(sampler: SceneSampler, geometry: Geometry, count: int) -> Tensor:
    """Quadrants [count,3,tile,tile] in [0, 1] of all views, half of them at the answer's place."""
    scene = sampler.draw(count)
    weights = torch.tensor([weight for _, weight in TILE_VIEWS])
    choice = torch.multinomial(weights, count, replacement=True, generator=sampler.generator)
    cells = torch.empty_like(scene.picture)
    for index, (view, _) in enumerate(TILE_VIEWS):
        rows = choice == index
        cells[rows] = view(rows_of(scene, rows))
    places = torch.randint(0, 7, (count,), generator=sampler.generator).clamp(max=int(Quadrant.ANSWER))
    out = torch.ones(count, 3, geometry.tile, geometry.tile)
    for quadrant in Quadrant:
        rows = places == quadrant
        ys, xs = geometry.cell_in_tile(quadrant)
        out[rows, :, ys, xs] = cells[rows]
    return out
