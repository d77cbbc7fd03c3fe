"""The boundary F-measure on shapes whose borders are known."""

import numpy as np
import pytest

from artifacts.evaluation.borders import boundary_f
from engine.geometry import Pixels


def square(left: int, side: int = 100, top: int = 50) -> Pixels:
    """A white square on black, uint8 [1,300,300,3]: borders count as the same within 4 px."""
    mask = np.zeros((1, 300, 300, 3), np.uint8)
    mask[:, top : top + side, left : left + side] = 255
    return mask


def test_a_border_counts_within_a_hundredth_of_the_diagonal() -> None:
    assert boundary_f(square(80), square(80))[0] == 1
    assert boundary_f(square(84), square(80))[0] == 1
    moved = boundary_f(square(95), square(80))[0]  # the upper and lower sides still lie on the true ones
    assert 0.4 < moved < 0.6


def test_both_shares_count() -> None:
    both = square(20) | square(180)
    assert boundary_f(both, square(20))[0] == pytest.approx(2 / 3, abs=0.01)  # half of the answer, all of the truth
    assert boundary_f(square(20), both)[0] == pytest.approx(2 / 3, abs=0.01)


def test_the_pictures_edge_is_no_border() -> None:
    left, wider = square(0, 150, 0), square(0, 300, 0)
    assert boundary_f(wider, wider)[0] == 1
    assert boundary_f(wider, left)[0] == 0
    assert boundary_f(np.zeros_like(left), wider)[0] == 1


def test_episodes_are_scored_one_by_one() -> None:
    answers, truths = np.concatenate([square(80), square(20)]), np.concatenate([square(80), square(180)])
    assert boundary_f(answers, truths).tolist() == [1, 0]
