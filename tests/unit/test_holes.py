"""Holes: found on the picture as it came, shown to the model, and filled without a trace of a frame."""

import cv2
import numpy as np
import pytest

from engine.geometry import Pixels
from engine.holes import Hole, blacken, bounds, fill, find_hole, view
from engine.membrane import membrane
from engine.refine_picture import refine
from engine.task_vector import AnswerSettings


def photograph(height: int, width: int, darkest: int = 60) -> Pixels:
    """Smooth colours with some grain."""
    draw = np.random.default_rng(height)
    wide = cv2.resize(draw.integers(darkest, 200, (5, 7, 3)).astype(np.float32), (width, height))
    return np.clip(wide + draw.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)


def shape_of(kind: str, height: int, width: int) -> Hole:
    """A hole of about 6 % of the picture."""
    out = np.zeros((height, width), np.uint8)
    if kind == "square":
        side = min(height, width) // 4
        out[height // 2 : height // 2 + side, width // 3 : width // 3 + side] = 1
    elif kind == "bar":
        out[:, width // 2 : width // 2 + width // 16] = 1
    elif kind == "corner":
        out[: height // 4, : width // 4] = 1
    else:
        for x in (width // 4, 3 * width // 4):
            cv2.circle(out, (x, height // 2), min(height, width) // 8, 1, -1)
    return out.astype(bool)


SHAPES = pytest.mark.parametrize("kind", ["square", "bar", "corner", "two discs"])


@SHAPES
@pytest.mark.parametrize("size", [(112, 112), (208, 312), (900, 400)])
def test_a_black_hole_is_found_to_the_pixel(kind: str, size: tuple[int, int]) -> None:
    hole = shape_of(kind, *size)
    np.testing.assert_array_equal(find_hole(photograph(*size) * ~hole[..., None]), hole)


@SHAPES
@pytest.mark.parametrize("quality", [70, 95])
def test_a_hole_is_found_after_jpeg(kind: str, quality: int) -> None:
    hole = shape_of(kind, 208, 312)
    holed = cv2.imencode(".jpg", photograph(208, 312) * ~hole[..., None], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    found = find_hole(cv2.imdecode(holed, cv2.IMREAD_COLOR))
    assert (found & hole).sum() >= 0.97 * hole.sum()
    around = cv2.dilate(hole.view(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert not (found & ~around).any()


def test_dark_is_not_black_and_a_speck_is_no_hole() -> None:
    night = photograph(208, 312, darkest=6) // 4
    assert night.max() > 40
    night[night.max(2) < 5] = 5
    night[10:14, 10:14] = 0
    assert not find_hole(night).any()


@pytest.mark.parametrize(("size", "side"), [((208, 312), 208), ((1000, 1000), 400)])
def test_the_model_is_shown_a_square_around_the_hole(size: tuple[int, int], side: int) -> None:
    hole = np.zeros(size, bool)
    hole[90:190, 20:60] = True
    rows, columns = view(hole)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (side, min(400, size[1]))
    assert rows.start <= 90
    assert rows.stop >= 190
    assert columns.start == 0


def test_a_cell_is_black_where_the_hole_is() -> None:
    hole = shape_of("two discs", 300, 450)
    picture = photograph(300, 450) * ~hole[..., None]
    cell = blacken(cv2.resize(picture, (111, 111), interpolation=cv2.INTER_AREA), hole)
    black = (cell == 0).all(2)
    share = cv2.resize(hole.astype(np.float32), (111, 111), interpolation=cv2.INTER_AREA)
    assert black[share > 0].all()
    assert 0.05 < black.mean() < 2 * hole.mean()
    assert cell[~black].min() > 30  # nothing that the hole was mixed into


@SHAPES
@pytest.mark.parametrize("size", [(112, 112), (208, 312), (1400, 900)])
def test_a_filled_hole_meets_its_border_and_the_rest_stays(kind: str, size: tuple[int, int]) -> None:
    hole, whole = shape_of(kind, *size), photograph(*size)
    picture = whole * ~hole[..., None]
    box = view(hole)
    answer = np.full((111, 111, 3), 20, np.uint8)  # far too dark
    out = fill(answer, picture, hole, box, 1.0)
    np.testing.assert_array_equal(out[~hole], picture[~hole])
    rim = hole & (cv2.dilate((~hole).view(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    assert np.abs(out[rim].astype(int) - whole[rim]).mean() < 8
    assert out[hole].min() > 30


def test_the_answers_structure_is_kept_as_far_as_detail_says() -> None:
    hole = shape_of("square", 208, 312)
    picture = np.full((208, 312, 3), 100, np.uint8) * ~hole[..., None]
    rows, columns = bounds(hole)
    answer = np.full((111, 111, 3), 100, np.uint8)
    box = view(hole)
    middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    place = [round((m - b.start) * 111 / (b.stop - b.start)) for m, b in zip(middle, box, strict=True)]
    answer[place[0] - 4 : place[0] + 4, place[1] - 4 : place[1] + 4] = 180
    brightness = [int(fill(answer, picture, hole, box, detail)[middle].max()) for detail in (0.0, 0.5, 1.0)]
    assert [abs(b - w) <= 12 for b, w in zip(brightness, (100, 140, 180), strict=True)] == [True] * 3


def test_a_membrane_is_harmonic() -> None:
    across = np.tile(np.arange(40, dtype=np.float32)[None, :, None], (40, 1, 1))
    known = np.ones((40, 40), bool)
    known[8:32, 8:32] = False
    assert np.abs(membrane(across, known) - across).max() < 1.5


@pytest.mark.parametrize("hole", [np.zeros((50, 60), bool), np.ones((50, 60), bool)])
def test_no_hole_changes_nothing_and_all_hole_is_the_answer(hole: Hole) -> None:
    picture = photograph(50, 60)
    answer = np.full((111, 111, 3), 77, np.uint8)
    out = refine(answer, picture, AnswerSettings(0.5, "hole"), hole)
    assert (out == (77 if hole.all() else picture)).all()
