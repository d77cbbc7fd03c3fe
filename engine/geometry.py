"""The one place that knows cells, patches, quadrants and token order, for any grid.

A canvas is a square picture holding a 2x2 grid of cells on white (Bar et al., Visual Prompting via
Image Inpainting, 2022): example input, example output, query, answer. Tokens are patches in row-major
order after one class token.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError

Pixels = NDArray[np.uint8]
WHITE = 255


class Quadrant(IntEnum):
    """Cells of the canvas, row-major."""

    EXAMPLE_INPUT = 0
    EXAMPLE_OUTPUT = 1
    QUERY = 2
    ANSWER = 3


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels; `grid` and `half` in patches.

    A white cross two pixels wide separates the cells, half a pixel pair in each quadrant: a quadrant
    (`tile` px) is a cell (`cell` px) plus one white row and one white column on its inner sides.
    """

    image_size: int = 224
    patch_size: int = 16

    def __post_init__(self) -> None:
        if self.image_size % (2 * self.patch_size):
            raise EngineError(
                f"image size {self.image_size} must hold an even number of {self.patch_size} px patches a side"
            )

    @property
    def grid(self) -> int:
        """Patches along a side of the canvas."""
        return self.image_size // self.patch_size

    @property
    def half(self) -> int:
        """Patches along a side of a quadrant."""
        return self.grid // 2

    @property
    def patches(self) -> int:
        """Patches of a canvas."""
        return self.grid**2

    @property
    def tile(self) -> int:
        """Side of a quadrant, its share of the white cross included."""
        return self.image_size // 2

    @property
    def cell(self) -> int:
        """Side of a cell's picture."""
        return self.tile - 1

    @cached_property
    def quadrant_patches(self) -> tuple[tuple[int, ...], ...]:
        """Patch numbers (row-major, from 0) of the four quadrants, row-major inside each."""
        half, grid = self.half, self.grid
        return tuple(
            tuple((row + dy) * grid + column + dx for dy in range(half) for dx in range(half))
            for row in (0, half)
            for column in (0, half)
        )

    @cached_property
    def visible_one_shot(self) -> tuple[int, ...]:
        """Patches the encoder sees when the example pair is given: all but the answer's, ascending."""
        hidden = set(self.quadrant_patches[Quadrant.ANSWER])
        return tuple(patch for patch in range(self.patches) if patch not in hidden)

    @property
    def visible_zero_shot(self) -> tuple[int, ...]:
        """Patches the encoder sees when only the query is given."""
        return self.quadrant_patches[Quadrant.QUERY]

    @property
    def lower_half(self) -> tuple[int, ...]:
        """Patches of the bottom rows, query and answer interleaved row by row."""
        return tuple(range(self.patches // 2, self.patches))

    def cell_box(self, quadrant: Quadrant) -> tuple[slice, slice]:
        """Rows and columns of a cell on the canvas."""
        spans = (slice(0, self.cell), slice(self.tile + 1, self.image_size))
        return spans[quadrant // 2], spans[quadrant % 2]

    def tile_box(self, quadrant: Quadrant) -> tuple[slice, slice]:
        """Rows and columns of a quadrant on the canvas, its white lines included."""
        spans = (slice(0, self.tile), slice(self.tile, self.image_size))
        return spans[quadrant // 2], spans[quadrant % 2]

    def cell_in_tile(self, quadrant: Quadrant) -> tuple[slice, slice]:
        """Rows and columns of a cell inside its own tile."""
        spans = (slice(0, self.cell), slice(1, self.tile))
        return spans[quadrant // 2], spans[quadrant % 2]

    def query_tile(self, cells: Pixels) -> Pixels:
        """uint8 cells [...,cell,cell,3] -> tiles [...,tile,tile,3]: white on the top row and right column."""
        self._check_cell(cells)
        tiles = np.full((*cells.shape[:-3], self.tile, self.tile, 3), WHITE, np.uint8)
        rows, columns = self.cell_in_tile(Quadrant.QUERY)
        tiles[..., rows, columns, :] = cells
        return tiles

    def canvas(
        self, example_input: Pixels, example_output: Pixels, query: Pixels, answer: Pixels | None = None
    ) -> Pixels:
        """Four uint8 cells [...,cell,cell,3] -> canvas [...,image_size,image_size,3]; no answer leaves black."""
        lead = query.shape[:-3]
        out = np.full((*lead, self.image_size, self.image_size, 3), WHITE, np.uint8)
        cells = (example_input, example_output, query, answer)
        for quadrant, cell in zip(Quadrant, cells, strict=True):
            rows, columns = self.cell_box(quadrant)
            if cell is not None:
                self._check_cell(cell)
            out[..., rows, columns, :] = 0 if cell is None else cell
        return out

    def _check_cell(self, cells: Pixels) -> None:
        if cells.dtype != np.uint8 or cells.shape[-3:] != (self.cell, self.cell, 3):
            raise EngineError(f"a cell is uint8 [...,{self.cell},{self.cell},3], not {cells.dtype} {list(cells.shape)}")
