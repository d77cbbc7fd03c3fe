"""Canvases as the public dataset class builds them from pictures and VOC annotations.

Pictures and masks alike are resized to a cell by Pillow, bicubic, in uint8. Compared are counts of 1/510, so
that half the light is a whole number.
"""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.geometry import Geometry, Pixels, Quadrant
from parity.checks import Arrays, Checks
from parity.session import Missing, read_arrays

Counts = NDArray[np.int64]
"""A cell [cell,cell,3] in units of 1/510."""


class Pair:
    """One picture with its annotation, resized to a cell; `square` is the corner of the inpainting hole."""

    def __init__(self, picture: Pixels, mask: Pixels, cell: int, square: tuple[int, int]) -> None:
        self.small = np.asarray(_resized(picture, cell))
        self.picture = self.small.astype(np.int64) * 2
        self.mask = _spread(_resized(mask, cell))
        self.square, self.side = square, cell // 4

    def gray(self) -> Counts:
        """Pillow's luma on all channels."""
        return _spread(Image.fromarray(self.small).convert("L"))

    def holed(self) -> Counts:
        """The picture with the black square."""
        out, (row, column) = self.picture.copy(), self.square
        out[row : row + self.side, column : column + self.side] = 0
        return out


View = Callable[[Pair], Counts]
GRIDS: dict[str, tuple[View, View]] = {
    "segmentation": (lambda p: p.picture, lambda p: p.mask),
    "lowlight": (lambda p: p.picture // 2, lambda p: p.picture),
    "neutral_copy": (lambda p: p.picture, lambda p: p.picture),
    "colorization": (Pair.gray, lambda p: p.picture),
    "inpaint": (Pair.holed, lambda p: p.picture),
    "inpaint_lowlight": (lambda p: p.holed() // 2, lambda p: p.picture),
    "segmentation_inpaint": (Pair.holed, lambda p: p.mask),
}


def check_grids(directory: Path) -> Checks:
    """Every grid of `grids.npz` that is known, exactly."""
    path = directory / "grids.npz"
    if not path.is_file():
        raise Missing(f"{path.name} is missing")
    arrays, checks, geometry = read_arrays(path), Checks(), Geometry()
    square = published_square(int(arrays["random_seed"]), geometry.cell)
    checks.close("place of the square", "equal", square, arrays["inpaint_square_h_w"])
    support, query = (_pair(arrays, name, geometry.cell, square) for name in ("support", "query"))
    for key, stored in arrays.items():
        name = key.removesuffix("_x510").removesuffix("_flipped")
        if name not in GRIDS:
            continue
        source, target = GRIDS[name]
        cells = [source(support), target(support), source(query), target(query)]
        if key.endswith("_flipped"):
            cells[1], cells[2] = cells[2], cells[1]
        wanted = stored.astype(np.int64) * (1 if key.endswith("_x510") else 2)
        checks.close(key, "equal", paste(geometry, cells).transpose(2, 0, 1), wanted)
    return checks


def published_square(seed: int, cell: int) -> tuple[int, int]:
    """Row and column of the square: two draws of Python's own generator after seeding it."""
    draw = random.Random(seed)
    last = cell - cell // 4
    return draw.randint(0, last), draw.randint(0, last)


def paste(geometry: Geometry, cells: list[Counts]) -> Counts:
    """Four cells on white."""
    canvas = np.full((geometry.image_size, geometry.image_size, 3), 510)
    for quadrant, cell in zip(Quadrant, cells, strict=True):
        canvas[geometry.cell_box(quadrant)] = cell
    return canvas


def _pair(arrays: Arrays, name: str, cell: int, square: tuple[int, int]) -> Pair:
    mask = ((arrays[f"{name}_ann"] == arrays["class_id"] + 1) * 255).astype(np.uint8)
    return Pair(arrays[name], mask, cell, square)


def _spread(plane: Image.Image) -> Counts:
    return np.asarray(plane).astype(np.int64)[..., None].repeat(3, 2) * 2


def _resized(pixels: Pixels, side: int) -> Image.Image:
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
