"""Pull-based continuous batching: the engine's thread takes what waits whenever the engine is free.

While the engine computes, jobs wait and form the next batch; an idle engine takes a single job at once,
unless it was told that a job may wait a little for company. One batch holds one program's jobs and any mix
of tasks. An engine that can be launched ahead gets a second batch while it computes the first: a full one at
once; what would leave room waits for company until the engine is about to be free, so that it never idles.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np

from engine.task_vector import TaskVector
from service.batching.batch_times import BatchTimes
from service.batching.collector import Collector
from service.batching.fair_queue import FairQueue
from service.batching.jobs import Job, Pixels, Program, Ticket
from service.batching.launcher import BatchEngine, Launcher
from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError

log: Final = logging.getLogger("vtv.batcher")
_LEAD: Final = 0.2
"""The part of a batch's time before whose end the next one is launched."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What the metrics want to know of a batch."""

    size: int
    tasks: int
    seconds: float


class State(Enum):
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(slots=True)
class _Queues:
    """Everything the two sides share, under one lock."""

    jobs: dict[Program, FairQueue] = field(default_factory=lambda: {"zero_shot": FairQueue(), "one_shot": FairQueue()})
    writes: list[tuple[int, TaskVector]] = field(default_factory=list)
    stopped: bool = False

    def waiting(self) -> int:
        return sum(map(len, self.jobs.values()))

    def next(self) -> tuple[Program, FairQueue]:
        """The program that has somebody waiting longest, and its queue."""
        return min(self.jobs.items(), key=lambda item: item[1].oldest())


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Jobs on the engine."""

    jobs: list[Job]
    launched_at: float
    """time.monotonic() seconds."""

    @property
    def program(self) -> Program:
        return self.jobs[0].program


class Batcher:
    """One engine, one thread, a bounded number of images in hand.

    `admit` and `release` belong to the event loop; `submit`, `write` and `abandon` may be called from any
    thread. `deliver` gets jobs that have their answer or error, `on_batch` a report of each batch, and
    `on_failure` is called once the engine has failed: all are called on the threads that drive the engine,
    which do nothing else meanwhile, so they must return at once.
    """

    def __init__(
        self,
        engine: BatchEngine,
        limit: int,
        deliver: Callable[[Sequence[Job]], None],
        on_batch: Callable[[BatchReport], None],
        on_failure: Callable[[], None] = lambda: None,
        max_wait: float = 0.0,
    ) -> None:
        """`limit` counts images; `max_wait` is how many seconds a job may wait for an idle engine's batch to fill."""
        self.limit: Final = limit
        self.admitted = 0
        self.state = State.WARMING
        self._engine = engine
        self._launcher = Launcher(engine)
        self._deliver = deliver
        self._on_batch = on_batch
        self._on_failure = on_failure
        self._resident: dict[int, TaskVector] = {}
        self._max_wait = max_wait
        self._queues = _Queues()
        self._in_flight: list[_Batch] = []
        self._failure: Exception | None = None
        self._free_since = 0.0
        self._times: Final[dict[Program, BatchTimes]] = {
            "zero_shot": BatchTimes(engine.buckets),
            "one_shot": BatchTimes(engine.buckets),
        }
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Warm the engine up on its own thread, then serve. `state` tells when it is ready."""
        self._thread.start()

    def restart(self, engine: BatchEngine) -> None:
        """After a failure: warm up another engine, write every slot again, and serve; else do nothing."""
        with self._wake:
            if self.state is not State.FAILED:
                return
            self.state = State.WARMING
            self._engine = engine
            self._launcher = Launcher(engine)
            self._queues.stopped = False
            self._queues.writes = list(self._resident.items())
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the batch under way, fail what waits, and join the thread."""
        with self._wake:
            self._queues.stopped = True
            self._wake.notify()
        self._thread.join()

    def drain(self) -> None:
        """Admit nothing more; what is in hand is finished."""
        with self._wake:
            self.state = State.DRAINING

    def check_room(self, images: int = 1) -> None:
        """Raises NotReady or QueueFull where `images` more would not be admitted now."""
        if self.state is not State.READY:
            raise NotReady
        if self.admitted + images > self.limit:
            raise QueueFull

    def admit(self, images: int, client: str = "") -> Ticket:
        """Count `images` as in hand until `release`. Raises NotReady or QueueFull."""
        self.check_room(images)
        self.admitted += images
        return Ticket(images, client)

    def release(self, ticket: Ticket) -> None:
        self.admitted -= ticket.images

    def write(self, slot: int, vector: TaskVector) -> None:
        """Have `vector` in `slot` before any job submitted from now on is launched."""
        with self._wake:
            self._resident[slot] = vector
            self._queues.writes.append((slot, vector))
            self._wake.notify()

    def submit(self, job: Job) -> None:
        """Queue an admitted job."""
        job.queued_at = time.monotonic()
        with self._wake:
            if not self._queues.stopped and self.state is not State.FAILED:
                self._queues.jobs[job.program].push(job)
                if self._may_launch() or (self._has_room() and self._queues.waiting() == 1):
                    self._wake.notify()  # else it is awake, knows when to look again, or is woken by what lands
                return
        self._fail([job], NotReady())

    def abandon(self, ticket: Ticket, jobs: Sequence[Job]) -> None:
        """Close a ticket and take back those of its jobs that were not launched; they are not delivered."""
        with self._wake:
            ticket.closed = True
            for job in jobs:
                self._queues.jobs[job.program].remove(job)

    def _run(self) -> None:
        try:
            self._engine.warm_up()
            with self._wake:
                self._failure = None
                if self.state is State.WARMING:
                    self.state = State.READY
            with Collector(self._land, self._break) as collector:
                while self._step(collector):
                    pass
        except Exception:
            log.exception("the engine failed; the service is no longer ready")
            self._close(State.FAILED, ServiceError())
            self._on_failure()
        else:
            self._close(self.state, NotReady())

    def _break(self, error: Exception) -> None:
        with self._wake:
            self._failure = error
            self._wake.notify()

    def _close(self, state: State, error: ServiceError) -> None:
        with self._wake:
            if self.state is not State.DRAINING:
                self.state = state
            self._queues.stopped = True
            left = [job for queue in self._queues.jobs.values() for job in queue.drain()]
        left += [job for batch in self._in_flight for job in batch.jobs]
        self._in_flight.clear()
        self._fail(left, error)

    def _fail(self, jobs: Sequence[Job], error: ServiceError) -> None:
        for job in jobs:
            job.error = error
        if jobs:
            self._deliver(jobs)

    def _step(self, collector: Collector[_Batch]) -> bool:
        """Write what is to be written and launch a batch, as soon as there is something to do. False when stopped."""
        with self._wake:
            while not (self._queues.stopped or self._failure or self._queues.writes or self._may_launch()):
                self._wake.wait(self._seconds_to_launch())
            if self._failure:
                raise self._failure
            if self._queues.stopped:
                return False
            writes, self._queues.writes = self._queues.writes, []
            jobs, expired = self._take() if self._may_launch() else ([], [])
        self._fail(expired, DeadlineExceeded())
        for slot, vector in writes:
            self._engine.write_slot(slot, vector)
        if jobs:
            self._launch(jobs, collector)
        return True

    def waiting(self) -> int:
        """Jobs in the queue, those on the engine not counted."""
        with self._wake:
            return self._queues.waiting()

    def _has_room(self) -> bool:
        return len(self._in_flight) < self._launcher.depth

    def _may_launch(self) -> bool:
        return not self._queues.stopped and self._seconds_to_launch() == 0

    def _seconds_to_launch(self) -> float | None:
        """How long the next batch has to wait for company; None where nobody waits, or until a batch lands."""
        _, queue = self._queues.next()
        if not queue or not self._has_room():
            return None
        if len(queue) >= self._engine.max_batch:
            return 0.0
        due = queue.oldest() + self._max_wait
        if self._in_flight:
            due = max(due, self._nearly_free())
        return max(0.0, due - time.monotonic()) if due < math.inf else None

    def _nearly_free(self) -> float:
        """When to launch behind the batch in flight; infinity where nothing is known of its like."""
        batch = self._in_flight[-1]
        seconds = self._times[batch.program].expected(len(batch.jobs))
        return max(batch.launched_at, self._free_since) + (1 - _LEAD) * seconds

    def _take(self) -> tuple[list[Job], list[Job]]:
        """The next batch; and who is too late."""
        program, queue = self._queues.next()
        now = time.monotonic()
        size = self._times[program].next_batch(len(queue))
        batch: list[Job] = []
        expired: list[Job] = []
        while queue and len(batch) < size:
            job = queue.pop()
            if job.deadline <= now:
                expired.append(job)
            elif not job.ticket.closed:
                job.launched_at = now
                batch.append(job)
        return batch, expired

    def _launch(self, jobs: list[Job], collector: Collector[_Batch]) -> None:
        batch = _Batch(jobs, time.monotonic())
        with self._wake:
            self._in_flight.append(batch)  # first, so that they are told if the launch fails
        pixels = np.stack([job.pixels for job in jobs])
        collect = self._launcher.launch(batch.program, pixels, [job.slot for job in jobs])
        if self._launcher.depth > 1:
            collector.put(batch, collect)
        else:
            self._land(batch, collect())

    def _land(self, batch: _Batch, answers: Pixels) -> None:
        """Deliver a batch that is done; batches land in the order of their launch."""
        now = time.monotonic()
        began = max(batch.launched_at, self._free_since)
        for job, answer in zip(batch.jobs, answers, strict=True):
            job.answer = answer
            job.began_at, job.landed_at = began, now
        self._free_since = now
        self._times[batch.program].observe(len(batch.jobs), now - began)
        with self._wake:
            self._in_flight.remove(batch)
            self._wake.notify()
        self._on_batch(BatchReport(len(batch.jobs), len({job.task for job in batch.jobs}), now - began))
        self._deliver(batch.jobs)
