"""How fast an engine is without a server."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RawSpeed:
    """Tensors in, tensors out."""

    images_per_second: float
    """At its best bucket."""
    bucket: int

    @classmethod
    def mean(cls, speeds: Sequence["RawSpeed"]) -> "RawSpeed":
        """Of several measurements; the bucket is the first one's."""
        return cls(statistics.mean(speed.images_per_second for speed in speeds), speeds[0].bucket)
