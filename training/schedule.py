"""Learning rate over a time budget: how far a run gets depends on the machine, when it ends does not."""

import math
import time

import torch

from training.workers import Workers


class Budget:
    """Progress 0..1 through `minutes` of training; time spent before an interruption counts."""

    def __init__(self, minutes: float, workers: Workers, spent: float = 0.0) -> None:
        self.seconds = minutes * 60
        self.workers = workers
        self.start = time.monotonic() - spent

    @property
    def spent(self) -> float:
        """Seconds trained so far, earlier runs included."""
        return time.monotonic() - self.start

    def progress(self) -> float:
        """The lead's clock, so that all workers agree."""
        here = torch.tensor(min(1.0, self.spent / self.seconds), device=self.workers.device)
        return float(self.workers.from_lead(here))


def cosine(progress: float, step: int, warm_up: int, floor: float = 0.02) -> float:
    """Factor on the peak learning rate: linear warm-up by steps, then a half cosine over the budget."""
    decay = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (step + 1) / warm_up) * decay
