"""Masks in black and white."""

import numpy as np
import pytest

from engine.threshold import cut


def gray(values: list[int]) -> np.ndarray:
    return np.repeat(np.array([values], np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize(
    ("threshold", "white"),
    [(0.5, [0, 0, 0, 0, 1, 1]), (0.3, [0, 0, 0, 1, 1, 1]), ("otsu", [0, 0, 1, 1, 1, 1])],
)
def test_a_mask_is_cut_where_it_is_said(threshold: float | str, white: list[int]) -> None:
    out = cut(gray([0, 5, 70, 77, 130, 140]), threshold)
    np.testing.assert_array_equal(out, gray([255 * value for value in white]))


@pytest.mark.parametrize(("value", "white"), [(0, 0), (127, 0), (128, 255), (255, 255)])
def test_one_brightness_is_cut_at_the_half(value: int, white: int) -> None:
    assert (cut(gray([value] * 4), "otsu") == white).all()
