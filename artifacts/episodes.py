"""Episodes: solved prompts of one task, made from scenes with a seed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.errors import DatasetError
from artifacts.paths import BUNDLED_DEMO
from artifacts.scenes import Scenes, load_scenes
from artifacts.tasks import Scene, Task, random_holes
from engine.geometry import Geometry

Pixels = NDArray[np.uint8]
VALIDATION_SHARE = 0.375  # of the training split: never shown to collect or search


@dataclass(frozen=True, slots=True)
class Episodes:
    """Cells uint8 [N,cell,cell,3]: example pair, query, and the true answer."""

    example_input: Pixels
    example_output: Pixels
    query: Pixels
    answer: Pixels

    def __len__(self) -> int:
        return len(self.query)

    def part(self, index: slice | NDArray[np.int64]) -> "Episodes":
        """Some of the rows."""
        return Episodes(self.example_input[index], self.example_output[index], self.query[index], self.answer[index])


def make_episodes(scenes: Scenes, task: Task, count: int, seed: int) -> Episodes:
    """`count` episodes: queries go through the scenes in turn, examples are other scenes at random.

    Example and query share the place of the hole, as published.
    """
    if len(scenes) < 2:
        raise DatasetError(f"episodes need at least 2 scenes, there are {len(scenes)}")
    draw = np.random.default_rng(seed)
    queries = np.concatenate([draw.permutation(len(scenes)) for _ in range(-(-count // len(scenes)))])[:count]
    examples = (queries + draw.integers(1, len(scenes), count)) % len(scenes)
    generator = torch.Generator().manual_seed(seed)
    holes = random_holes(count, scenes.pictures.shape[1], generator)
    example, query = _scene(scenes, examples, holes), _scene(scenes, queries, holes)
    return Episodes(
        to_pixels(task.source(example)),
        to_pixels(task.target(example)),
        to_pixels(task.source(query)),
        to_pixels(task.target(query)),
    )


def dataset_path(name: str) -> Path:
    """`demo` is the bundled data set, anything else a folder."""
    return BUNDLED_DEMO if name == "demo" else Path(name)


def splits(dataset: Path, geometry: Geometry) -> dict[str, Scenes]:
    """`search` and `validation` (both of the training split) and `test` (the val split: held-out sources)."""
    train, test = (load_scenes(dataset, split, geometry.cell) for split in ("train", "val"))
    cut = int(len(train) * (1 - VALIDATION_SHARE))
    return {
        "search": Scenes(train.pictures[:cut], train.masks[:cut]),
        "validation": Scenes(train.pictures[cut:], train.masks[cut:]),
        "test": test,
    }


def to_pixels(cells: Tensor) -> Pixels:
    """[B,3,H,W] in [0, 1] -> uint8 [B,H,W,3], rounded."""
    array: Pixels = (cells * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def _scene(scenes: Scenes, index: NDArray[np.int64], holes: Tensor) -> Scene:
    pictures = torch.from_numpy(np.ascontiguousarray(scenes.pictures[index])).permute(0, 3, 1, 2).float() / 255
    masks = torch.from_numpy(np.ascontiguousarray(scenes.masks[index]))[:, None].float()
    return Scene(pictures, masks, holes)
