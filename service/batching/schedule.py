"""Which jobs the engine gets next, and when: the batcher's policy, without its threads. `turns.py` says whose.

An idle engine takes what waits at once, unless it was told that a job may wait a little for company. One batch
holds one program's jobs and any mix of tasks; programs share the engine's time. An engine that can be launched ahead
gets a second batch while it computes the first: a full one at once; what would leave room waits for company until the
engine is about to be free, so that it never idles.
"""

import math
import time
from dataclasses import dataclass
from typing import Final, get_args

from engine.program import EngineProgram
from service.batching.batch_times import BatchTimes
from service.batching.engine import BatchSizes
from service.batching.fair_share import FairShare
from service.batching.jobs import Job
from service.batching.turns import Turns
from service.fair_queue import FairQueue

_LEAD: Final = 0.2
"""The part of a batch's time before whose end the next one is launched."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs on the engine."""

    jobs: list[Job]
    launched_at: float
    """time.monotonic() seconds."""
    expected: float
    """Seconds that it was thought to take; 0 where nothing was known of its like."""

    @property
    def program(self) -> EngineProgram:
        return self.jobs[0].program


class Schedule:
    """The jobs that wait, the batches in flight, and what both say about the next batch.

    Not thread-safe: the batcher calls it under its lock.
    """

    def __init__(self, engine: BatchSizes, max_wait: float) -> None:
        """`max_wait` is how many seconds a job may wait for an idle engine's batch to fill."""
        programs: tuple[EngineProgram, ...] = get_args(EngineProgram)
        self.times: Final = {program: BatchTimes(engine.batch_sizes(program)) for program in programs}
        self._queues: Final = {program: FairQueue(_client_of) for program in programs}
        self._turns: Final = {program: Turns(times) for program, times in self.times.items()}
        self._share: Final = FairShare(programs)
        self._in_flight: list[Batch] = []
        self._most_in_flight: Final = engine.in_flight
        self._max_wait: Final = max_wait
        self._free_since = 0.0
        self.crowded = False
        """Whether several clients ask, and one of them little: who asks much has short batches then."""

    def push(self, job: Job) -> None:
        queue = self._queues[job.program]
        if not queue:
            self._share.arrived(job.program)
        queue.push(job)

    def remove(self, job: Job) -> None:
        """Take a job out, where it still waits."""
        self._queues[job.program].remove(job)

    def waiting(self) -> int:
        """Jobs in the queues, those on the engine not counted."""
        return sum(map(len, self._queues.values()))

    def has_room(self) -> bool:
        """Whether the engine takes another batch."""
        return len(self._in_flight) < self._most_in_flight

    def seconds_to_launch(self) -> float | None:
        """How long the next batch has to wait for company; None where nobody waits, or until a batch is done."""
        program, queue = self._next()
        if not queue or not self.has_room():
            return None
        if len(queue) >= self.times[program].largest and not self.crowded:
            return 0.0
        due = _oldest(queue) + self._max_wait
        if self._in_flight:
            due = max(due, self._nearly_free())
        return max(0.0, due - time.monotonic()) if due < math.inf else None

    def take(self) -> tuple[Batch | None, list[Job]]:
        """The next batch, which is in flight from now on; and who is too late."""
        program, queue = self._next()
        now = time.monotonic()
        if self.crowded:
            clients, size = self._turns[program].next(queue)
        else:
            clients, size = None, self.times[program].next_batch(len(queue))
        waiting = queue.count(clients)
        jobs: list[Job] = []
        expired: list[Job] = []
        while waiting and len(jobs) < size:
            job = queue.pop(clients)
            waiting -= 1
            if job.deadline <= now:
                expired.append(job)
            else:
                job.launched_at = now
                jobs.append(job)
        if not jobs:
            return None, expired
        expected = self.times[program].expected(len(jobs))
        batch = Batch(jobs, now, expected if expected < math.inf else 0.0)
        self._share.launched(program, batch.expected)
        self._in_flight.append(batch)
        return batch, expired

    def complete(self, batch: Batch) -> float:
        """Its answers are there; batches end in the order of their launch. How many seconds it took."""
        now = time.monotonic()
        started = max(batch.launched_at, self._free_since)
        for job in batch.jobs:
            job.started_at, job.finished_at = started, now
        self._free_since = now
        self.times[batch.program].observe(len(batch.jobs), now - started)
        self._share.corrected(batch.program, now - started - batch.expected)
        self._in_flight.remove(batch)
        return now - started

    def under_way(self) -> tuple[float, float] | None:
        """How long the batch that the engine computes has taken, and how long its like take, in seconds; None where
        there is none. Infinity where nothing is known of its like."""
        if not self._in_flight:
            return None
        batch = self._in_flight[0]
        taken = time.monotonic() - max(batch.launched_at, self._free_since)
        return taken, self.times[batch.program].expected(len(batch.jobs))

    def clear(self) -> list[Job]:
        """Every job that waits or is in flight, taken out."""
        left = [job for queue in self._queues.values() for job in queue.drain()]
        left += [job for batch in self._in_flight for job in batch.jobs]
        self._in_flight.clear()
        return left

    def _next(self) -> tuple[EngineProgram, FairQueue[Job]]:
        """The program whose turn it is, and its queue, which is empty where nobody waits."""
        waiting = [item for item in self._queues.items() if item[1]] or list(self._queues.items())
        return min(waiting, key=lambda item: (self._share.clock(item[0]), _oldest(item[1])))

    def _nearly_free(self) -> float:
        """When to launch behind the batch in flight; infinity where nothing is known of its like."""
        batch = self._in_flight[-1]
        seconds = self.times[batch.program].expected(len(batch.jobs))
        return max(batch.launched_at, self._free_since) + (1 - _LEAD) * seconds


def _client_of(job: Job) -> str:
    return job.ticket.client


def _oldest(queue: FairQueue[Job]) -> float:
    """When the job that has waited longest was queued; infinity when nobody waits."""
    return min((job.queued_at for job in queue.first_of_each()), default=math.inf)
