"""Whose jobs the next batch holds, where several clients ask, and one of them little.

Who has one job waiting, and who has more, take turns: so whoever asks one picture at a time waits for one short batch
of those who ask much, and is computed without them. A batch of those is no longer than it takes to give each a place,
or little longer than the shortest: who comes meanwhile waits for its end.
"""

from collections.abc import Collection
from typing import Final

from service.batching.batch_times import BatchTimes
from service.batching.jobs import Job
from service.fair_queue import FairQueue

_FEW: Final = 1
"""Jobs that wait, of a client that asks little."""
_STRETCH: Final = 1.25
"""Times what the shortest batch takes: what one of those who ask much may take."""


class Turns:
    """For one program's queue. Not thread-safe: the schedule calls it."""

    def __init__(self, times: BatchTimes) -> None:
        self._times: Final = times
        self._few_had_theirs = False

    def next(self, queue: FairQueue[Job]) -> tuple[Collection[str], int]:
        """The clients whose jobs the next batch holds, and how many jobs."""
        few, many = queue.clients(_FEW)
        if few and (not many or not self._few_had_theirs):
            self._few_had_theirs = True
            return few, self._times.next_batch(queue.count(few))
        self._few_had_theirs = False
        size = max(len(many), self._times.within(_STRETCH))
        return many, self._times.next_batch(min(size, queue.count(many)))
