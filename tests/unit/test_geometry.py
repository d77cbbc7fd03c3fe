"""Cells, patches, quadrants and token order."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.geometry import Geometry, Quadrant

GEOMETRY = Geometry()


def cells(*values: int) -> list[np.ndarray]:
    return [np.full((111, 111, 3), value, np.uint8) for value in values]


def test_published_sizes() -> None:
    assert (GEOMETRY.cell, GEOMETRY.tile, GEOMETRY.grid, GEOMETRY.half, GEOMETRY.patches) == (111, 112, 14, 7, 196)


@pytest.mark.parametrize(("image", "patch"), [(224, 16), (64, 16), (96, 8), (448, 16)])
def test_quadrants_partition_the_patches_of_any_grid(image: int, patch: int) -> None:
    geometry = Geometry(image, patch)
    quadrants = geometry.quadrant_patches
    assert sorted(p for quadrant in quadrants for p in quadrant) == list(range(geometry.patches))
    for number, quadrant in enumerate(quadrants):
        assert list(quadrant) == sorted(quadrant)
        for place in quadrant:
            row, column = divmod(place, geometry.grid)
            assert (row >= geometry.half) * 2 + (column >= geometry.half) == number


def test_visible_patches_and_lower_half() -> None:
    assert GEOMETRY.visible_one_shot[:98] == tuple(range(98))
    assert GEOMETRY.visible_one_shot[98:105] == tuple(range(98, 105))
    assert GEOMETRY.visible_one_shot[105] == 112
    assert len(GEOMETRY.visible_one_shot) == 147
    assert GEOMETRY.visible_zero_shot == GEOMETRY.visible_one_shot[98:]
    assert GEOMETRY.lower_half == tuple(range(98, 196))


def test_canvas_has_a_white_cross_two_pixels_wide() -> None:
    canvas = GEOMETRY.canvas(*cells(10, 20, 30, 40))
    assert canvas.shape == (224, 224, 3)
    assert (canvas[111:113] == 255).all()
    assert (canvas[:, 111:113] == 255).all()
    corners = (canvas[0, 0, 0], canvas[110, 113, 0], canvas[113, 110, 0], canvas[223, 223, 0])
    assert corners == (10, 20, 30, 40)


def test_canvas_without_an_answer_is_black_there() -> None:
    canvas = GEOMETRY.canvas(*cells(10, 20, 30))
    assert (canvas[113:, 113:] == 0).all()


def test_query_tile_is_the_lower_left_quadrant_of_the_canvas() -> None:
    query = np.random.default_rng(0).integers(0, 256, (2, 111, 111, 3), np.uint8)
    canvas = GEOMETRY.canvas(query, query, query, query)
    tiles = GEOMETRY.query_tile(query)
    rows, columns = GEOMETRY.tile_box(Quadrant.QUERY)
    assert np.array_equal(tiles, canvas[:, rows, columns])
    assert (tiles[:, 0] == 255).all()
    assert (tiles[:, :, -1] == 255).all()


@pytest.mark.parametrize("quadrant", Quadrant)
def test_cell_in_tile_agrees_with_cell_on_canvas(quadrant: Quadrant) -> None:
    numbered = np.arange(224 * 224).reshape(224, 224)
    tile = numbered[GEOMETRY.tile_box(quadrant)]
    assert np.array_equal(tile[GEOMETRY.cell_in_tile(quadrant)], numbered[GEOMETRY.cell_box(quadrant)])


def test_other_shapes_and_types_are_refused() -> None:
    with pytest.raises(EngineError, match="even number"):
        Geometry(224, 32)
    with pytest.raises(EngineError, match="a cell is uint8"):
        GEOMETRY.query_tile(np.zeros((112, 112, 3), np.uint8))
    with pytest.raises(EngineError, match="a cell is uint8"):
        GEOMETRY.query_tile(np.zeros((111, 111, 3), np.float32))
