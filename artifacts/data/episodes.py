"""Episodes: solved prompts of one task, made from scenes with a seed."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError
from artifacts.tasks.scene import Scene, random_holes
from artifacts.tasks.task import Task
from engine.geometry import Pixels


@dataclass(frozen=True, slots=True)
class Episodes:
    """Cells uint8 [N,cell,cell,3]: example pair, query, and the true answer.

    Where they are made of scenes: `scenes` int64 [N,2], the numbers of the example's and the query's; `labels`
    int64 [N], the class that the query shows, where the data set names classes.
    """

    example_input: Pixels
    example_output: Pixels
    query: Pixels
    answer: Pixels
    scenes: NDArray[np.int64] | None = None
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.query)

    def part(self, index: slice | NDArray[np.int64]) -> "Episodes":
        """Some of the rows."""
        cells = (self.example_input[index], self.example_output[index], self.query[index], self.answer[index])
        scenes, labels = (None if extra is None else extra[index] for extra in (self.scenes, self.labels))
        return Episodes(*cells, scenes, labels)

    @property
    def digest(self) -> str:
        """SHA-256 of all cells, hex: the same for the same data set, split, task, seed and count."""
        total = hashlib.sha256()
        for cells in (self.example_input, self.example_output, self.query, self.answer):
            total.update(np.ascontiguousarray(cells).data)
        return total.hexdigest()


def make_episodes(scenes: Scenes, task: Task, count: int, seed: int) -> Episodes:
    """`count` episodes: queries go through the scenes in turn, examples are other scenes (of their class) at random.

    Example and query share the place of the hole, as published.
    """
    if len(scenes) < 2:
        raise DatasetError(f"episodes need at least 2 scenes, there are {len(scenes)}")
    draw = np.random.default_rng(seed)
    queries = np.concatenate([draw.permutation(len(scenes)) for _ in range(-(-count // len(scenes)))])[:count]
    examples = _others(scenes, queries, draw)
    generator = torch.Generator().manual_seed(seed)
    holes = random_holes(count, scenes.pictures.shape[1], generator)
    example, query = _scene(scenes, examples, holes), _scene(scenes, queries, holes)
    return Episodes(
        to_pixels(task.source(example)),
        to_pixels(task.target(example)),
        to_pixels(task.source(query)),
        to_pixels(task.target(query)),
        np.stack([examples, queries], 1),
        None if scenes.labels is None else scenes.labels[queries],
    )


def to_pixels(cells: Tensor) -> Pixels:
    """[B,3,H,W] in [0, 1] -> uint8 [B,H,W,3], rounded."""
    array: Pixels = (cells * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def _others(scenes: Scenes, queries: NDArray[np.int64], draw: np.random.Generator) -> NDArray[np.int64]:
    """For each query another scene; of the same class where the scenes have classes."""
    if scenes.classes is None:
        return (queries + draw.integers(1, len(scenes), len(queries))) % len(scenes)
    out = np.empty_like(queries)
    for number in np.unique(scenes.classes):
        members, rows = np.flatnonzero(scenes.classes == number), np.flatnonzero(scenes.classes[queries] == number)
        if len(members) < 2:
            raise DatasetError(f"class {number} has one scene only: an example and a query must share it")
        place = np.searchsorted(members, queries[rows])
        out[rows] = members[(place + draw.integers(1, len(members), len(rows))) % len(members)]
    return out


def _scene(scenes: Scenes, index: NDArray[np.int64], holes: Tensor) -> Scene:
    masks = torch.from_numpy(np.ascontiguousarray(scenes.masks[index]))[:, None].float()
    outputs = None if scenes.outputs is None else _planes(scenes.outputs[index])
    return Scene(_planes(scenes.pictures[index]), masks, holes, outputs)


def _planes(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
