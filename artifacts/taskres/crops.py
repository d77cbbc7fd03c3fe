"""What of a picture a tower sees: the middle, or random crops to train on."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from artifacts.pictures.resize import middle_square, resized
from engine.geometry import Pixels
from engine.towers.tower import Tower

SHARE = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
"""Of the area, and width by height, as in the public trainer's augmentation (torchvision's RandomResizedCrop)."""
TRIES = 10


@dataclass(frozen=True)
class Crop:
    """A square [size,size,3] of a picture [H,W,3], uint8, for a tower. `name` tells the features apart.

    The third argument is the hash of the picture's file, to draw from. `scaled`: files are read scaled down to what the
    tower sees, for which a random part would be too small.
    """

    name: str
    square: Callable[[Pixels, Tower, str], Pixels]
    scaled: bool = False


middle = Crop("middle-scaled", lambda pixels, tower, _: middle_square(pixels, tower.size, tower.shorter_edge), True)
"""What is served. Features of files that were not read scaled down are kept under another name, `middle`."""


def random_crop(number: int) -> Crop:
    """The `number`-th augmented view of every picture: a random part, resized, mirrored half the time.

    Drawn from `number` and the file's content: the same in every run.
    """

    def square(pixels: Pixels, tower: Tower, content: str) -> Pixels:
        rng = random.Random(f"{number} {content}")
        top, left, height, width = _part(pixels.shape[0], pixels.shape[1], rng)
        part = resized(pixels[top : top + height, left : left + width], tower.size)
        return np.ascontiguousarray(part[:, ::-1]) if rng.random() < 0.5 else part

    return Crop(f"random-{number}", square)


def _part(height: int, width: int, rng: random.Random) -> tuple[int, int, int, int]:
    """Top, left, height and width; the middle square where none of so many draws fits in."""
    for _ in range(TRIES):
        area = height * width * rng.uniform(*SHARE)
        aspect = np.exp(rng.uniform(*np.log(ASPECT)))
        w, h = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, height - h), rng.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side
