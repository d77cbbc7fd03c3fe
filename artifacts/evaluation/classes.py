"""IoU by class, as few-shot segmentation reports it: intersections and unions add up over a class's episodes.

A class whose answers and truths are all empty scores 1, as such an episode does.
"""

import numpy as np
from numpy.typing import NDArray

from artifacts.evaluation.metrics import white
from engine.geometry import Pixels


def class_iou(answers: Pixels, truths: Pixels, labels: NDArray[np.int64]) -> dict[int, float]:
    """Answers and truths uint8 [B,H,W,3] and the class of each query [B] -> the IoU of each class that occurs."""
    first, second = white(answers), white(truths)
    both, either = (first & second).sum((-2, -1)), (first | second).sum((-2, -1))
    result = {}
    for number in np.unique(labels).tolist():
        inside = labels == number
        union = either[inside].sum()
        result[int(number)] = float(both[inside].sum() / union) if union else 1.0
    return result
