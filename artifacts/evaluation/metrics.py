"""What a task is scored by, on uint8 answers: the metrics of the public research code.

All take answers and truths uint8 [B,H,W,3] and give one number an episode, [B].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Pixels
from engine.model import IMAGENET_STD

Scores = NDArray[np.float64]
T = TypeVar("T", float, Scores)


def white(pixels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether a pixel is nearer to white than to black in mean squared distance; ties are white: [...,H,W]."""
    total: NDArray[np.int64] = pixels.astype(np.int64).sum(-1)
    return total * 2 >= 3 * 255


def both_empty(answers: Pixels, truths: Pixels) -> NDArray[np.bool_]:
    """Episodes without a white pixel in either: their intersection and union are both nothing."""
    empty: NDArray[np.bool_] = (white(answers) | white(truths)).sum((-2, -1)) == 0
    return empty


def iou(answers: Pixels, truths: Pixels) -> Scores:
    """Intersection over union of the white areas, float64; two empty masks agree: 1."""
    return np.where(both_empty(answers, truths), 1.0, published_iou(answers, truths))


def published_iou(answers: Pixels, truths: Pixels) -> Scores:
    """The same as the public code has it, which divides 0 by 0 where both are empty: NaN."""
    first, second = white(answers), white(truths)
    both = (first & second).sum((-2, -1)).astype(np.float64)
    either = (first | second).sum((-2, -1)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        ratio: Scores = both / either
    return ratio


def mse(answers: Pixels, truths: Pixels) -> Scores:
    """Mean squared error in ImageNet-normalised space (the mean cancels), float64."""
    difference = (answers.astype(np.float64) - truths) / 255 / np.asarray(IMAGENET_STD)
    result: Scores = (difference**2).mean((-3, -2, -1))
    return result


@dataclass(frozen=True, slots=True)
class Metric:
    """A way to score answers, which way is better, and how a table's head calls it."""

    score: Callable[[Pixels, Pixels], Scores]
    higher_is_better: bool
    heading: str

    def as_loss(self, scores: T) -> T:
        """Scores turned so that less is better; done twice, they are as they were."""
        return -scores if self.higher_is_better else scores


METRICS = {
    "iou": Metric(iou, higher_is_better=True, heading="IoU ↑"),
    "mse": Metric(mse, higher_is_better=False, heading="MSE ↓"),
}
