"""How long batches take, to know when the engine will be free."""

import math
from typing import Final

_WEIGHT: Final = 0.25
"""Of the newest batch in the running mean."""


class Pace:
    """Running means, one for all batches that need the same power of two."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def observe(self, images: int, seconds: float) -> None:
        """A batch of so many images took so long."""
        size = _size(images)
        before = self._seconds.get(size, seconds)
        self._seconds[size] = before + _WEIGHT * (seconds - before)

    def expected(self, images: int) -> float:
        """Seconds that a batch of so many images takes; infinite where none was seen."""
        return self._seconds.get(_size(images), math.inf)


def _size(images: int) -> int:
    return (images - 1).bit_length()
