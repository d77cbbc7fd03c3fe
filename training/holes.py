"""Holes as people paint them: rectangles of any aspect, ellipses and brush strokes, and the published square."""

import math
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.tasks.scene import random_holes

SMALLEST, LARGEST = 0.03, 0.30
"""Share of the picture that a hole covers."""
SQUARES = 0.3
"""Share of holes that are the square of a quarter of the side, as published."""
SHAPES = 1500
"""Shapes that are drawn once and dealt again and again."""


def any_holes(count: int, side: int, generator: torch.Generator) -> Tensor:
    """`count` holes of all kinds: [count,1,side,side] in {0, 1}."""
    shapes = _shapes(side)
    holes = shapes[torch.randint(0, len(shapes), (count,), generator=generator)][:, None].float()
    squares = torch.rand(count, generator=generator) < SQUARES
    holes[squares] = random_holes(int(squares.sum()), side, generator)
    return holes


@cache
def _shapes(side: int) -> Tensor:
    draw = np.random.default_rng(5)
    return torch.from_numpy(np.stack([free_form(side, draw) for _ in range(SHAPES)]))


def free_form(side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """One shape [side,side] in {0, 1} of a size within the bounds; two in five are rectangles or strokes each."""
    while True:
        hole = np.zeros((side, side), np.uint8)
        kind = draw.random()
        if kind < 0.4:
            _rectangle(hole, draw)
        elif kind < 0.6:
            _ellipse(hole, draw)
        else:
            for _ in range(draw.integers(1, 4)):
                _stroke(hole, draw)
        if SMALLEST <= hole.mean() <= LARGEST:
            return hole


def _rectangle(hole: NDArray[np.uint8], draw: np.random.Generator) -> None:
    side = len(hole)
    area, aspect = draw.uniform(SMALLEST, LARGEST) * side**2, math.exp(draw.uniform(-1.1, 1.1))
    rows = min(side, max(1, round(math.sqrt(area * aspect))))
    columns = min(side, max(1, round(area / rows)))
    top, left = draw.integers(0, side - rows + 1), draw.integers(0, side - columns + 1)
    hole[top : top + rows, left : left + columns] = 1


def _ellipse(hole: NDArray[np.uint8], draw: np.random.Generator) -> None:
    side = len(hole)
    middle = draw.uniform(0.1, 0.9, 2) * side
    axes = draw.uniform(0.07, 0.35, 2) * side
    cv2.ellipse(hole, _point(middle), _point(axes), float(draw.uniform(0, 180)), 0, 360, (1,), -1)


def _stroke(hole: NDArray[np.uint8], draw: np.random.Generator) -> None:
    """A polyline of a brush of 5 to 18 % of the side, which turns a little at every step."""
    side = len(hole)
    place, angle = draw.uniform(0, side, 2), draw.uniform(0, 2 * math.pi)
    width = max(1, round(draw.uniform(0.05, 0.18) * side))
    for _ in range(draw.integers(3, 9)):
        angle += draw.normal(0, 0.6)
        onward = place + draw.uniform(0.05, 0.2) * side * np.array([math.cos(angle), math.sin(angle)])
        cv2.line(hole, _point(place), _point(onward), (1,), width)
        place = onward


def _point(pair: NDArray[np.float64]) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])
