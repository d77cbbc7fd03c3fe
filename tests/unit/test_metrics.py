"""Metrics, their intervals, and what is paired by episode."""

import json

import numpy as np
import pytest

from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.classes import class_iou
from artifacts.evaluation.metrics import METRICS, iou, mse, published_iou, white
from artifacts.evaluation.report import as_json
from artifacts.evaluation.sections import empty_line, sections
from artifacts.evaluation.table import VECTOR, TaskResult, paired_gains
from engine.model import IMAGENET_STD
from engine.task_vector import AnswerSettings

WHITE, BLACK = (np.full((1, 4, 4, 3), value, np.uint8) for value in (255, 0))


def test_known_values() -> None:
    half = WHITE.copy()
    half[:, :2] = 0
    assert iou(half, WHITE).tolist() == [0.5]
    assert iou(np.concatenate([WHITE, WHITE]), np.concatenate([WHITE, BLACK])).tolist() == [1, 0]
    assert mse(WHITE, WHITE)[0] == 0
    assert mse(WHITE, BLACK)[0] == pytest.approx(np.mean([(1 / s) ** 2 for s in (0.229, 0.224, 0.225)]))


@pytest.mark.parametrize(("colour", "is_white"), [((255, 127, 0), False), ((0, 128, 255), True), ((0, 0, 255), False)])
def test_white_is_nearer_to_white_than_to_black(colour: tuple[int, int, int], is_white: bool) -> None:
    pixels = np.full((2, 3, 5, 3), colour, np.uint8)
    assert white(pixels).tolist() == np.full((2, 3, 5), is_white).tolist()


def test_each_episode_has_an_error_of_its_own() -> None:
    truths = np.zeros((2, 3, 5, 3), np.uint8)
    answers = truths.copy()
    answers[1, 0, 0, 0] = 255
    assert mse(answers, truths).tolist() == [0, pytest.approx((1 / IMAGENET_STD[0]) ** 2 / truths[0].size)]


def test_two_empty_masks_agree_where_the_public_code_divides_by_nothing() -> None:
    answers, truths = np.concatenate([BLACK, WHITE, BLACK]), np.concatenate([BLACK, BLACK, WHITE])
    assert iou(answers, truths).tolist() == [1, 0, 0]
    np.testing.assert_array_equal(published_iou(answers, truths), [np.nan, 0, 0])
    assert interval(iou(answers, truths)).mean == pytest.approx(1 / 3)
    assert class_iou(answers, truths, np.asarray([1, 2, 2])) == {1: 1.0, 2: 0.0}


def test_empty_answers_are_counted_in_the_report() -> None:
    scores = {VECTOR: Interval(0.5, 0.4, 0.6)}
    result = TaskResult(
        "segmentation", "iou", AnswerSettings(), scores, scores, {}, 4, {}, {}, {}, {"one-shot": 0, VECTOR: 3}
    )
    assert empty_line(result) == (
        f"segmentation: answers that are empty where the truth is too count as 1: {VECTOR} 3."
    )
    assert empty_line(result) in next(sections([result])).text
    assert json.loads(json.dumps(as_json(result)))["empty"] == {"one-shot": 0, VECTOR: 3}


def test_less_is_better_as_a_loss() -> None:
    scores = np.asarray([0.2, 0.7])
    assert METRICS["iou"].as_loss(scores).tolist() == [-0.2, -0.7]
    assert METRICS["mse"].as_loss(scores).tolist() == [0.2, 0.7]


def test_intervals_hold_the_mean() -> None:
    scores = np.random.default_rng(0).normal(5, 1, 400)
    result = interval(scores)
    assert result.low < result.mean < result.high
    assert result.high - result.low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert interval(scores) == result
    assert interval(np.asarray([0.25])) == Interval(0.25, 0.25, 0.25)


def test_intervals_are_the_percentiles_of_resampled_means() -> None:
    scores = np.random.default_rng(1).random(96)
    index = np.random.default_rng(0).integers(0, 96, (2000, 96))
    low, high = np.percentile(scores[index].mean(1), [2.5, 97.5])
    assert (interval(scores).low, interval(scores).high) == pytest.approx((low, high))


def test_gains_are_paired_and_positive_is_better() -> None:
    shared = np.random.default_rng(0).normal(0, 5, 200)
    scores = {VECTOR: shared + 0.1, "other": shared + 0.3}
    assert paired_gains(scores, METRICS["iou"])["other"].mean == pytest.approx(-0.2)
    gain = paired_gains(scores, METRICS["mse"])["other"]
    assert gain.low == pytest.approx(0.2)
    assert paired_gains({"other": shared}, METRICS["mse"]) == {}
