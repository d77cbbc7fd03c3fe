"""Pull-based continuous batching: the engine's thread takes what waits whenever it is free.

There is no fixed delay. While the engine computes, jobs wait and form the next batch; an idle engine
takes a single job at once. One batch holds one program's jobs and any mix of tasks.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.task_vector import TaskVector
from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError

Program = Literal["zero_shot", "one_shot"]
Pixels = NDArray[np.uint8]

log: Final = logging.getLogger("vtv.batcher")


class BatchEngine(Protocol):
    """The part of engine.runtime.Engine that the batcher drives, on one thread of its own."""

    @property
    def max_batch(self) -> int: ...
    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, vector: TaskVector) -> None: ...
    def zero_shot(self, tiles: Pixels, slots: Sequence[int]) -> Pixels: ...
    def one_shot(self, canvases: Pixels) -> Pixels: ...


@dataclass(slots=True, eq=False)
class Ticket:
    """An admitted request. Once closed, none of its jobs is launched."""

    images: int
    closed: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """One image on its way through the engine. Times are time.monotonic() seconds."""

    ticket: Ticket
    program: Program
    pixels: Pixels
    """uint8 [112, 112, 3], or [224, 224, 3] for one_shot."""
    slot: int
    task: str
    deadline: float
    finish: Callable[["Job"], None]
    """For whoever `deliver` hands the job to: what to do once `answer` or `error` is set."""
    queued_at: float = 0.0
    launched_at: float | None = None
    compute_seconds: float = 0.0
    answer: Pixels | None = None
    """uint8 [111, 111, 3]."""
    error: ServiceError | None = None


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

    jobs: dict[Program, OrderedDict[int, Job]] = field(
        default_factory=lambda: {"zero_shot": OrderedDict(), "one_shot": OrderedDict()}
    )
    writes: list[tuple[int, TaskVector]] = field(default_factory=list)
    stopped: bool = False


class Batcher:
    """One engine, one thread, a bounded number of images in hand.

    `admit` and `release` belong to the event loop; `submit`, `write` and `abandon` may be called from any
    thread. `deliver` gets jobs that have their answer or error, `on_batch` a report of each batch, and
    `on_failure` is called once the engine has failed: all are called on the engine's thread, which does
    nothing else meanwhile, so they must return at once.
    """

    def __init__(
        self,
        engine: BatchEngine,
        limit: int,
        deliver: Callable[[Sequence[Job]], None],
        on_batch: Callable[[BatchReport], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.limit: Final = limit
        self.admitted = 0
        self.state = State.WARMING
        self._engine = engine
        self._deliver = deliver
        self._on_batch = on_batch
        self._on_failure = on_failure
        self._resident: dict[int, TaskVector] = {}
        self._queues = _Queues()
        self._launched: list[Job] = []
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
            self._queues.stopped = False
            self._queues.writes = list(self._resident.items())
            self._launched = []
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

    def admit(self, images: int) -> Ticket:
        """Count `images` as in hand until `release`. Raises NotReady or QueueFull."""
        if self.state is not State.READY:
            raise NotReady
        if self.admitted + images > self.limit:
            raise QueueFull
        self.admitted += images
        return Ticket(images)

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
                self._queues.jobs[job.program][id(job)] = job
                self._wake.notify()
                return
        self._fail([job], NotReady())

    def abandon(self, ticket: Ticket, jobs: Sequence[Job]) -> None:
        """Close a ticket and take back those of its jobs that were not launched; they are not delivered."""
        with self._wake:
            ticket.closed = True
            for job in jobs:
                self._queues.jobs[job.program].pop(id(job), None)

    def _run(self) -> None:
        try:
            self._engine.warm_up()
            with self._wake:
                if self.state is State.WARMING:
                    self.state = State.READY
            while self._step():
                pass
        except Exception:
            log.exception("the engine failed; the service is no longer ready")
            self._close(State.FAILED, ServiceError())
            self._on_failure()
        else:
            self._close(self.state, NotReady())

    def _close(self, state: State, error: ServiceError) -> None:
        with self._wake:
            if self.state is not State.DRAINING:
                self.state = state
            self._queues.stopped = True
            left = [job for queue in self._queues.jobs.values() for job in queue.values()]
            for queue in self._queues.jobs.values():
                queue.clear()
            left += self._launched
        self._fail(left, error)

    def _fail(self, jobs: Sequence[Job], error: ServiceError) -> None:
        for job in jobs:
            job.error = error
        if jobs:
            self._deliver(jobs)

    def _step(self) -> bool:
        """Write what is to be written, compute one batch. False when stopped."""
        with self._wake:
            while not (self._queues.stopped or self._queues.writes or self._waiting()):
                self._wake.wait()
            if self._queues.stopped:
                return False
            writes, self._queues.writes = self._queues.writes, []
            self._launched, expired = self._take()
        self._fail(expired, DeadlineExceeded())
        for slot, vector in writes:
            self._engine.write_slot(slot, vector)
        if self._launched:
            self._compute(self._launched)
            self._deliver(self._launched)
            self._launched = []
        return True

    def _waiting(self) -> bool:
        return any(self._queues.jobs.values())

    def _take(self) -> tuple[list[Job], list[Job]]:
        """The next batch, oldest first, of the program whose head has waited longest; and who is too late."""
        queue = min(
            (queue for queue in self._queues.jobs.values() if queue),
            key=lambda queue: next(iter(queue.values())).queued_at,
            default=OrderedDict[int, Job](),
        )
        now = time.monotonic()
        batch: list[Job] = []
        expired: list[Job] = []
        while queue and len(batch) < self._engine.max_batch:
            _, job = queue.popitem(last=False)
            if job.deadline <= now:
                expired.append(job)
            elif not job.ticket.closed:
                job.launched_at = now
                batch.append(job)
        return batch, expired

    def _compute(self, batch: list[Job]) -> None:
        started = time.perf_counter()
        pixels = np.stack([job.pixels for job in batch])
        if batch[0].program == "zero_shot":
            answers = self._engine.zero_shot(pixels, [job.slot for job in batch])
        else:
            answers = self._engine.one_shot(pixels)
        seconds = time.perf_counter() - started
        for job, answer in zip(batch, answers, strict=True):
            job.answer = answer
            job.compute_seconds = seconds
        self._on_batch(BatchReport(len(batch), len({job.task for job in batch}), seconds))
