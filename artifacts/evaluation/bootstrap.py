"""Means with 95 % bootstrap intervals over episodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

RESAMPLES = 2000
SEED = 0
"""The same for every interval: two runs over the same scores print the same numbers."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % percentile-bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(scores: NDArray[np.float64]) -> Interval:
    """Scores [N], one per episode; a single one is its own interval."""
    mean = float(scores.mean())
    if len(scores) == 1:
        return Interval(mean, mean, mean)
    limits = bootstrap((scores,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=SEED).confidence_interval
    return Interval(mean, float(limits.low), float(limits.high))
