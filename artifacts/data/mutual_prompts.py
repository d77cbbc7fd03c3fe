"""Prompts and queries made of a few pairs alone."""

from itertools import permutations, product

import numpy as np

from artifacts.data.episodes import Episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError
from engine.geometry import Pixels

PROMPTS = 400


def mutual_prompts(pairs: Scenes, seed: int) -> Episodes:
    """Every pair as the example for every other, each mirrored and not; a random `PROMPTS` when there are more."""
    inputs, outputs = both_ways(pairs)
    count = len(pairs)
    every = [
        (example + a * count, query + b * count)
        for (example, query), a, b in product(permutations(range(count), 2), (0, 1), (0, 1))
    ]
    chosen = np.asarray(every)[np.random.default_rng(seed).permutation(len(every))[:PROMPTS]]
    example, query = chosen[:, 0], chosen[:, 1]
    return Episodes(inputs[example], outputs[example], inputs[query], outputs[query])


def queries(pairs: Scenes, *, mirrored: bool) -> Episodes:
    """Every pair as a zero-shot query; the examples, which nothing reads, are the pair itself."""
    inputs, outputs = both_ways(pairs)
    count = len(inputs) if mirrored else len(pairs)
    return Episodes(inputs[:count], outputs[:count], inputs[:count], outputs[:count])


def both_ways(pairs: Scenes) -> tuple[Pixels, Pixels]:
    """Inputs and outputs, then the same mirrored left to right: uint8 [2N,side,side,3] each."""
    if pairs.outputs is None:
        raise DatasetError("teach needs pairs of pictures")
    return _with_mirrored(pairs.pictures), _with_mirrored(pairs.outputs)


def _with_mirrored(cells: Pixels) -> Pixels:
    return np.concatenate([cells, cells[:, :, ::-1]])
