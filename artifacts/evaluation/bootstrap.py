"""Means with 95 % bootstrap intervals over episodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % percentile-bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(scores: NDArray[np.float64], seed: int = 0) -> Interval:
    """Scores [N], one per episode."""
    index = np.random.default_rng(seed).integers(0, len(scores), (RESAMPLES, len(scores)))
    low, high = np.percentile(scores[index].mean(1), [2.5, 97.5])
    return Interval(float(scores.mean()), float(low), float(high))
