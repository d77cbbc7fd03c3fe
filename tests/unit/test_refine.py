"""Guided refinement against a plain per-pixel least-squares fit, and the query's brightness kept."""

import cv2
import numpy as np
import pytest
import torch

from engine.errors import EngineError
from engine.refine import guided, refine_batch, resize
from engine.refine_picture import refine
from engine.task_vector import ONE_BY_ONE, AnswerSettings


def plain_guided(answer: np.ndarray, query: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """He et al. 2010, equations 14 to 16, one window at a time."""
    height, width = query.shape[:2]
    slope, offset = np.zeros((height, width, 3, 3)), np.zeros((height, width, 3))

    def window(y: int, x: int) -> tuple[slice, slice]:
        return slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)

    for y in range(height):
        for x in range(width):
            guide, target = query[window(y, x)].reshape(-1, 3), answer[window(y, x)].reshape(-1, 3)
            covariance = (guide - guide.mean(0)).T @ (guide - guide.mean(0)) / len(guide)
            cross = (guide - guide.mean(0)).T @ (target - target.mean(0)) / len(guide)
            slope[y, x] = np.linalg.solve(covariance + eps * np.eye(3), cross).T
            offset[y, x] = target.mean(0) - slope[y, x] @ guide.mean(0)
    out = np.empty_like(answer)
    for y in range(height):
        for x in range(width):
            a, b = slope[window(y, x)].mean((0, 1)), offset[window(y, x)].mean((0, 1))
            out[y, x] = a @ query[y, x] + b
    return out.clip(0, 1)


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-2), (3, 1e-3), (20, 1e-2)])
def test_guided_equals_the_plain_fit(radius: int, eps: float) -> None:
    draw = np.random.default_rng(radius)
    answer, query = draw.random((12, 14, 3)), draw.random((12, 14, 3))
    planes = [torch.from_numpy(a).float().permute(2, 0, 1)[None] for a in (answer, query)]
    got = guided(planes[0], planes[1], radius, eps)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, plain_guided(answer, query, radius, eps), atol=2e-4)


@pytest.mark.parametrize(
    ("kind", "radius", "smooth"),
    [("guided", 8, 0), ("guided", 16, 0), ("guided", 32, 0), ("guided", 64, 6), ("luma", 8, 3), ("none", 8, 0)],
)
@pytest.mark.parametrize("size", [(111, 111), (333, 555), (1000, 889), (60, 700), (80, 90)])
def test_one_picture_is_refined_as_a_batch_is(kind: str, radius: int, smooth: int, size: tuple[int, int]) -> None:
    draw = np.random.default_rng(size[1])
    wide = torch.from_numpy(draw.random((1, 3, 7, 9))).float()
    query = (resize(wide, size)[0].permute(1, 2, 0) * 255).byte().numpy()
    query[size[0] // 3 : 2 * size[0] // 3, size[1] // 4 : size[1] // 2] = 0
    answer = draw.integers(0, 256, (111, 111, 3), dtype=np.uint8)
    settings = AnswerSettings(0.5, kind, radius, 1e-3, smooth=smooth)
    planes = [torch.from_numpy(a).permute(2, 0, 1)[None] / 255 for a in (answer, query)]
    wanted = (refine_batch(planes[0], planes[1], settings)[0].permute(1, 2, 0) * 255).round().numpy()
    got = refine(answer, query, settings)
    assert got.dtype == np.uint8
    off = np.abs(got - wanted)
    assert off.mean() < 1
    assert np.quantile(off, 0.99) <= 4


def test_a_blurred_copy_gets_all_of_the_querys_detail_back_where_the_fit_is_smoothed() -> None:
    draw = np.random.default_rng(3)
    query = draw.random((111, 111, 3)) * 0.5 + 0.25
    blurred = np.asarray(cv2.blur(query, (9, 9)))
    planes = [torch.from_numpy(a).float().permute(2, 0, 1)[None] for a in (blurred, query)]
    plain, smoothed = (guided(planes[0], planes[1], 32, 1e-5, smooth) for smooth in (0, 6))
    error = [float((out - planes[1]).square().mean() / planes[1].var()) for out in (plain, smoothed)]
    assert error[0] > 0.5
    assert error[1] < 0.1


def test_guided_gives_a_blurred_mask_the_querys_edge_at_full_size() -> None:
    query = np.zeros((333, 333, 3), np.uint8)
    query[:, 150:] = 200
    blurred = np.repeat(np.linspace(0, 255, 111).astype(np.uint8)[None, :, None], 111, 0).repeat(3, 2)
    out = refine(np.ascontiguousarray(blurred), query, AnswerSettings(0.5, "guided", 16, 1e-3))
    assert out.shape == query.shape
    step = np.abs(np.diff(out[100, :, 0].astype(int)))
    assert step.argmax() == 149
    assert step.max() > 10 * np.median(step[step > 0])


@pytest.mark.parametrize("size", [(112, 112), (300, 224)])
def test_luma_keeps_the_querys_brightness_and_takes_the_answers_colour(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    gray = np.repeat(cv2.resize(draw.integers(60, 200, (9, 7), dtype=np.uint8), size[::-1])[..., None], 3, 2)
    answer = np.full((111, 111, 3), (180, 100, 100), np.uint8)
    for chroma, wanted in ((1.0, 80), (0.5, 40), (0.0, 0)):
        out = refine(answer, gray, AnswerSettings(0.5, "luma", 8, 1e-2, chroma=chroma)).astype(int)
        brightness = cv2.cvtColor(out.astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(int)
        assert np.abs(brightness - gray[..., 0]).max() <= 2
        assert np.abs(out[..., 0] - out[..., 1] - wanted).max() <= 4


@pytest.mark.parametrize("kind", ONE_BY_ONE)
def test_some_refinements_are_not_for_batches(kind: str) -> None:
    planes = torch.zeros(1, 3, 8, 8)
    with pytest.raises(EngineError, match=kind):
        refine_batch(planes, planes, AnswerSettings(0.5, kind))


def test_none_enlarges_alone() -> None:
    answer = np.full((111, 111, 3), 77, np.uint8)
    query = np.zeros((40, 500, 3), np.uint8)
    assert (refine(answer, query, AnswerSettings(0.5, "none")) == 77).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": -1},
        {"refine": "magic"},
        {"radius": 0},
        {"eps": 0.0},
        {"chroma": -0.1},
        {"detail": 1.5},
        {"smooth": 56},
        {"threshold": 1.0},
        {"threshold": "best"},
    ],
)
def test_settings_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(EngineError):
        AnswerSettings(**changes)  # type: ignore[arg-type]
