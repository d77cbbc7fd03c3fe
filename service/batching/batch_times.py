"""How long batches take: to know when the engine will be free, and what to give it next."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

_WEIGHT: Final = 0.25
"""Of the newest batch in the running mean."""


class BatchTimes:
    """Running means for one program, one for each of the engine's buckets: a batch takes as long as its bucket."""

    def __init__(self, buckets: Sequence[int]) -> None:
        self._buckets: Final = sorted(buckets)
        self._seconds: dict[int, float] = {}

    @property
    def largest(self) -> int:
        """Images that one batch holds at most."""
        return self._buckets[-1]

    def bucket(self, images: int) -> int:
        """The batch size that so many images run at: the smallest that holds them."""
        return self._buckets[bisect_left(self._buckets, images)]

    def observe(self, images: int, seconds: float) -> None:
        """A batch of so many images took so long."""
        bucket = self.bucket(images)
        before = self._seconds.get(bucket, seconds)
        self._seconds[bucket] = before + _WEIGHT * (seconds - before)

    def expected(self, images: int) -> float:
        """Seconds that a batch of so many images takes; infinite where none was seen."""
        return self._seconds.get(self.bucket(images), math.inf)

    def within(self, times: float) -> int:
        """The largest batch that takes at most so many times what the smallest does, or a larger one that was never
        seen, so that it is tried."""
        longest, found = times * self._together(self._buckets[0]), self._buckets[0]
        for bucket in self._buckets:
            if bucket not in self._seconds:
                return bucket
            if self._seconds[bucket] > longest:
                break
            found = bucket
        return found

    def next_batch(self, waiting: int) -> int:
        """How many of those who wait to launch together, so that all are done soonest.

        That is everybody, as many as one batch holds, wherever a batch hardly takes longer for being larger. Where
        every row costs its time, the rows that would fill up a bucket cost more than a second batch. What was never
        seen counts as nothing, so that it is tried.
        """
        waiting = min(waiting, self._buckets[-1])
        full = self._filled(waiting)
        if full == waiting:
            return waiting
        return full if self._in_parts(waiting) < self._together(waiting) else waiting

    def _in_parts(self, images: int) -> float:
        """Seconds for so many images, a filled bucket first."""
        full = self._filled(images)
        return self._together(full) + self._least(images - full)

    def _least(self, images: int) -> float:
        """Seconds for so many images, in one batch or in several; none for none."""
        return min(self._together(images), self._in_parts(images)) if images else 0.0

    def _together(self, images: int) -> float:
        return self._seconds.get(self.bucket(images), 0.0)

    def _filled(self, images: int) -> int:
        """The largest that they fill; all of them where they fill none."""
        below = bisect_right(self._buckets, images)
        return self._buckets[below - 1] if below else images
