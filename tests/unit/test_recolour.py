"""Recoloured scenes keep everything but their hues; what a vector is tested on is never recoloured."""

import numpy as np
import pytest

from artifacts.data.recolour import recoloured
from artifacts.data.scenes import Scenes
from artifacts.tasks import TASKS, pair_task
from engine.refine import LUMA


def muted_scenes(count: int) -> Scenes:
    """Colours near enough to gray that no hue is clipped."""
    pictures = np.random.default_rng(0).integers(100, 150, (count, 6, 5, 3), dtype=np.uint8)
    return Scenes(pictures, np.ones((count, 6, 5), np.uint8))


def test_luma_stays_and_hues_turn() -> None:
    scenes = muted_scenes(8)
    turned = recoloured(scenes, 3)
    luma, turned_luma = (s.pictures @ np.array(LUMA) for s in (scenes, turned))
    np.testing.assert_allclose(turned_luma, luma, atol=1.5)
    moved = np.abs(turned.pictures.astype(int) - scenes.pictures).mean((1, 2, 3))
    assert (moved > 2).sum() >= 6
    np.testing.assert_array_equal(turned.masks, scenes.masks)


def test_gray_has_no_hue_to_turn() -> None:
    gray = np.repeat(np.arange(48, dtype=np.uint8).reshape(1, 6, 8, 1) * 5, 3, -1)
    turned = recoloured(Scenes(gray, np.ones((1, 6, 8), np.uint8)), 0)
    np.testing.assert_allclose(turned.pictures, gray, atol=1)


def test_a_seed_gives_the_same_colours() -> None:
    scenes = muted_scenes(4)
    np.testing.assert_array_equal(recoloured(scenes, 1).pictures, recoloured(scenes, 1).pictures)
    assert (recoloured(scenes, 1).pictures != recoloured(scenes, 2).pictures).any()


@pytest.mark.parametrize(("name", "expected"), [("colorization", True), ("identity", False)])
def test_only_colorization_is_recoloured(name: str, expected: bool) -> None:
    assert TASKS[name].recolour is expected
    assert not pair_task(name).recolour
