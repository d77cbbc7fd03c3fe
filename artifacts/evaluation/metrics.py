"""Metrics of the public research code, on uint8 answers.

Both take answers and truths uint8 [B,H,W,3] and give float64 [B].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.model import IMAGENET_STD

Pixels = NDArray[np.uint8]


def white(pixels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether a pixel is nearer to white than to black in mean squared distance; ties are white: [...,H,W]."""
    total: NDArray[np.int64] = pixels.astype(np.int64).sum(-1)
    return total * 2 >= 3 * 255


def iou(answers: Pixels, truths: Pixels) -> NDArray[np.float64]:
    """Intersection over union of the white areas; NaN where both are all black (as published)."""
    first, second = white(answers), white(truths)
    both = (first & second).sum((-2, -1)).astype(np.float64)
    either = (first | second).sum((-2, -1)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        ratio: NDArray[np.float64] = both / either
    return ratio


def mse(answers: Pixels, truths: Pixels) -> NDArray[np.float64]:
    """Mean squared error in ImageNet-normalised space (the mean cancels)."""
    difference = (answers.astype(np.float64) - truths) / 255 / np.asarray(IMAGENET_STD)
    result: NDArray[np.float64] = (difference**2).mean((-3, -2, -1))
    return result


METRICS = {"iou": iou, "mse": mse}
HIGHER_IS_BETTER = {"iou": True, "mse": False}
