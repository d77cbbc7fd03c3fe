"""Masks by GrabCut: a vague answer gets the object that the picture shows, at any size, the same every time."""

import cv2
import numpy as np
import pytest

from artifacts.evaluation.metrics import iou
from engine.geometry import Pixels
from engine.grabcut import _labels
from engine.refine_picture import refine
from engine.task_vector import AnswerSettings

GRABCUT = AnswerSettings(0.5, "grabcut", 24, 1e-4)
GUIDED = AnswerSettings(0.5, "guided", 24, 1e-4)


def disc(size: tuple[int, int], radius: float) -> np.ndarray:
    """bool [H,W]: an ellipse as wide and high as the picture is, times `radius`."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance: np.ndarray = np.hypot(y / size[0] - 0.5, x / size[1] - 0.45)
    return distance < radius


def picture(size: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """A spotted orange ball on a spotted blue ground, and its true mask: uint8 [H,W,3]."""
    draw = np.random.default_rng(size[0])
    inside = disc(size, 0.3)
    colour = np.where(inside[..., None], (200, 120, 40), (40, 90, 160)) + draw.normal(0, 25, (*size, 3))
    return colour.clip(0, 255).astype(np.uint8), np.repeat(inside[..., None] * np.uint8(255), 3, 2)


def vague() -> Pixels:
    """What a model might say: brighter about where the ball is, gray, off to one side."""
    y, x = np.mgrid[:111, :111]
    bump = 30 + 190 * np.exp(-(((y - 50) / 30) ** 2 + ((x - 58) / 30) ** 2))
    return np.repeat(bump.astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize("size", [(112, 112), (208, 312), (700, 500)])
def test_a_vague_answer_gets_the_object_of_the_picture(size: tuple[int, int]) -> None:
    query, truth = picture(size)
    found = refine(vague(), query, GRABCUT)
    assert found.shape == query.shape
    score, before = (float(iou(mask[None], truth[None])[0]) for mask in (found, refine(vague(), query, GUIDED)))
    assert score > 0.95
    assert score > before + 0.05
    assert ((found < 16) | (found > 239)).mean() > 0.9


@pytest.mark.parametrize("size", [(112, 112), (208, 312)])
def test_specks_are_dropped_and_holes_filled(size: tuple[int, int]) -> None:
    query, truth = picture(size)
    spotted = truth.copy()
    for y, x, level in ((0.1, 0.9, 255), (0.9, 0.9, 255), (0.5, 0.45, 0), (0.4, 0.5, 0)):
        top, left = int(y * size[0]), int(x * size[1])
        spotted[top : top + size[0] // 20, left : left + size[1] // 20] = level
    answer = np.asarray(cv2.resize(spotted, (111, 111), interpolation=cv2.INTER_AREA), np.uint8)
    found = refine(answer, query, AnswerSettings(0.5, "grabcut", 1, 1e-4))
    count, _ = cv2.connectedComponents((found[..., 0] > 127).astype(np.uint8))
    holes, _ = cv2.connectedComponents((found[..., 0] <= 127).astype(np.uint8))
    assert (count, holes) == (2, 2)  # the ball and the ground around it


def test_the_same_input_gives_the_same_bytes() -> None:
    query, _ = picture((150, 200))
    first = refine(vague(), query, GRABCUT)
    refine(np.roll(vague(), 20, 1), query[::-1].copy(), GRABCUT)
    np.testing.assert_array_equal(first, refine(vague(), query, GRABCUT))


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (6, 9), (30, 20), (2000, 12)])
def test_pictures_too_small_to_learn_colours_from_keep_the_likelier_side(size: tuple[int, int]) -> None:
    query, _ = picture(size)
    assert refine(vague(), query, GRABCUT).shape == query.shape


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_answer_of_one_brightness_is_one_side(level: int) -> None:
    query, _ = picture((112, 112))
    found = refine(np.full((111, 111, 3), level, np.uint8), query, GRABCUT)
    assert np.ptp(found) <= 1


def test_a_picture_of_one_colour_keeps_the_answers_shape() -> None:
    query = np.full((112, 112, 3), 90, np.uint8)
    found = refine(vague(), query, GRABCUT)
    assert found[50, 58].min() > 200
    assert found[5, 5].max() < 50


def test_likelier_background_on_the_border_is_sure_to_be() -> None:
    soft = np.full((60, 80), 100, np.uint8)
    soft[20:40, 30:60] = 220
    soft[0, :40] = 160
    labels = _labels(soft)
    assert (labels[0, 40:] == cv2.GC_BGD).all()
    assert (labels[:, -3:] == cv2.GC_BGD).all()
    assert (labels[0, :40] == cv2.GC_PR_FGD).all()
    assert (labels[3:20, 3:-3] == cv2.GC_PR_BGD).all()
