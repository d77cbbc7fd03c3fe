"""Confidences: how they are told from an answer, calibrated, judged and stored."""

from pathlib import Path

import numpy as np
import pytest

from artifacts.evaluation.confidence import area_under_curve, calibrated, judged
from artifacts.evaluation.metrics import METRICS
from artifacts.store.artifact import answer_json, parse_answer
from engine.confidence import Confidence, contrast, detail, overlap, read_confidence
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.task_vector import AnswerSettings


def flat(level: int) -> Pixels:
    return np.full((20, 20, 3), level, np.uint8)


def test_what_is_black_and_white_has_contrast() -> None:
    half = flat(0)
    half[:, :5] = 255
    assert contrast(half) == pytest.approx(1)
    assert contrast(flat(64)) == pytest.approx(0.498, abs=1e-3)
    assert contrast(flat(128)) == pytest.approx(0.004, abs=1e-3)


def test_detail_is_what_changes_between_neighbours() -> None:
    assert detail(flat(200)) == 0
    stripes = flat(0)
    stripes[::2] = 255
    assert detail(stripes) == pytest.approx(1)


def test_overlap_is_how_white_the_white_is() -> None:
    half = flat(0)
    assert overlap(half) == 0
    half[:, :5] = 255
    assert overlap(half) == pytest.approx(1)
    half[:, :5] = 51
    assert overlap(half) == pytest.approx(0.2)
    half[:, :10] = 51
    assert overlap(half) == pytest.approx(0.2), "black surroundings tell nothing"


def test_the_map_is_linear_between_its_knots_and_flat_beyond() -> None:
    trust = Confidence("contrast", ((0.2, 0.1), (0.6, 0.9)))
    levels = [trust.of(flat(level)) for level in (128, 77, 51, 0)]
    assert levels == pytest.approx([0.1, 0.492, 0.9, 0.9], abs=0.01)


@pytest.mark.parametrize(("name", "higher"), [("iou", True), ("mse", False)])
def test_a_calibration_finds_what_goes_with_the_score(name: str, higher: bool) -> None:
    draw = np.random.default_rng(0)
    contrasts = draw.uniform(0, 1, 200)
    answers = np.stack([flat(round(127.5 * (1 - c))) for c in contrasts])
    noise = draw.uniform(-0.1, 0.1, 200)
    worth = np.clip(contrasts + noise, 0, 1)
    scores = worth if higher else 1 - worth
    trust = calibrated(answers, METRICS[name], scores)
    assert trust is not None
    assert trust.statistic == "contrast"
    told = np.array([trust.of(answer) for answer in answers])
    assert np.abs(told - worth).mean() < 0.08
    assert "area under the curve 1.000" in judged(trust, answers, METRICS[name], scores)


@pytest.mark.parametrize(("ends", "chosen"), [(20, "of the ends"), (7, "of the middle")])
def test_what_tells_bad_from_good_is_chosen_where_there_are_enough_of_both(
    ends: int, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statistic is right about bad and good masks, the other about the many between them."""
    by_place = {
        "of the ends": lambda answer: answer[0, 0, 0] / 255,
        "of the middle": lambda answer: answer[0, 1, 0] / 255,
    }
    monkeypatch.setattr("artifacts.evaluation.confidence.STATISTICS", by_place)
    draw = np.random.default_rng(0)
    scores = np.concatenate([np.linspace(0.1, 0.2, ends), np.linspace(0.35, 0.55, 200), np.linspace(0.7, 0.8, ends)])
    answers = draw.integers(100, 150, (len(scores), 2, 2, 3), dtype=np.uint8)
    answers[:ends, 0, 0], answers[-ends:, 0, 0] = 90, 160
    answers[ends:-ends, 0, 1] = np.linspace(100, 149, 200)[:, None]
    trust = calibrated(answers, METRICS["iou"], scores)
    assert trust is not None
    assert trust.statistic == chosen


def test_too_few_or_all_alike_are_not_calibrated() -> None:
    assert calibrated(np.stack([flat(0)] * 40), METRICS["iou"], np.linspace(0, 1, 40)) is None
    assert calibrated(np.stack([flat(level) for level in range(10)]), METRICS["iou"], np.linspace(0, 1, 10)) is None


def test_the_area_is_that_of_the_curve() -> None:
    told, good = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert area_under_curve(told, good, ~good) == pytest.approx(0.875)
    assert np.isnan(area_under_curve(told, good, np.zeros(4, bool)))


def test_it_is_stored_and_read_again() -> None:
    settings = AnswerSettings(confidence=Confidence("detail", ((0.0, 0.3), (0.1, 0.2))))
    assert parse_answer(Path("x"), answer_json(settings)) == settings
    assert parse_answer(Path("x"), answer_json(AnswerSettings())).confidence is None


@pytest.mark.parametrize(
    ("statistic", "knots"),
    [
        ("charm", [[0, 0.5]]),
        ("contrast", []),
        ("contrast", [[0, 0.1, 1]]),
        ("contrast", [[0.5, 0.1], [0.5, 0.2]]),
        ("contrast", [[0, 0.1], [0.5, 1.2]]),
        ("contrast", [[0, 0.1], [0.5, 0.3], [0.6, 0.2]]),
        ("contrast", [[float("nan"), 0.1]]),
        ("contrast", [[0, float("nan")]]),
        ("contrast", [[x / 40, 0.5] for x in range(40)]),
    ],
)
def test_what_is_no_map_is_refused(statistic: str, knots: list[list[float]]) -> None:
    with pytest.raises((EngineError, TypeError, ValueError)):
        read_confidence(statistic, knots)
