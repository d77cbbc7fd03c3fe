"""How well a mask's border lies on the true one."""

import cv2
import numpy as np
from numpy.typing import NDArray

from artifacts.evaluation.metrics import Scores, white
from engine.geometry import Pixels

TOLERANCE = 0.01
"""Of the picture's diagonal: how far off a border may be."""


def boundary_f(answers: Pixels, truths: Pixels) -> Scores:
    """Boundary F-measure of the white areas of uint8 [B,H,W,3], float64 [B] (Perazzi et al., DAVIS, CVPR 2016).

    The harmonic mean of two shares: of the answer's border that lies within `TOLERANCE` of the true border, and of
    the true border within it of the answer's. The picture's own edge is no border; where neither has one: 1.
    """
    return np.array([_one(answer, truth) for answer, truth in zip(white(answers), white(truths), strict=True)])


def _one(answer: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    first, second = _border(answer), _border(truth)
    if not first.any() or not second.any():
        return float(first.any() == second.any())
    reach = max(1, round(TOLERANCE * float(np.hypot(*answer.shape))))
    precision, recall = (_distance(second)[first] <= reach).mean(), (_distance(first)[second] <= reach).mean()
    return float(2 * precision * recall / max(precision + recall, np.finfo(float).tiny))


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """White pixels with a black one beside them."""
    area = mask.astype(np.uint8)
    inside = cv2.erode(area, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    border: NDArray[np.bool_] = mask & (np.asarray(inside) == 0)
    return border


def _distance(border: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of each pixel to the nearest of the border, in pixels."""
    return np.asarray(cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
