"""The public learning rate: one warm-up epoch, then a cosine over all epochs."""

import math

WARM_UP = 1e-5
"""Learning rate of epoch 0."""


def learning_rate(epoch: int, epochs: int, base: float) -> float:
    """Of an epoch, counted from 0; stepped once an epoch.

    The warm-up epoch is not taken off the cosine's length, so the cosine starts one epoch late and never quite ends.
    """
    if epoch == 0:
        return WARM_UP
    return base * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
