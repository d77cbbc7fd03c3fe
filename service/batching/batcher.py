"""Pull-based continuous batching: the engine's thread takes what waits whenever the engine is free.

While the engine computes, jobs wait and form the next batch. What a batch holds and when it is launched says
`service/batching/schedule.py`; here are the threads, the bound on images in hand, and the engine's life.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from traceback import format_exc
from typing import Final

import numpy as np

from engine.classification.head import Head
from engine.runner import Answers, Row
from engine.task_vector import TaskVector
from service.active_clients import ActiveClients
from service.batching.completion import CompletionThread
from service.batching.engine import BatchEngine, BatchSizes
from service.batching.jobs import Job, Ticket
from service.batching.schedule import Batch, Schedule
from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError, ShareFull
from service.telemetry.metrics import BatchReport

log: Final = logging.getLogger("vtv.batcher")
_HELD_UP_SECONDS: Final = 1.5
_TIMES_EXPECTED: Final = 5.0
"""Of a batch that takes longer than both the server is not ready; the watchdog ends it later."""


class State(Enum):
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Batcher:
    """One engine, one thread, a bounded number of images in hand.

    `admit`, `release` and `infer` belong to the event loop; the rest may be called from any thread. `on_batch` gets
    a report of each batch, and `on_failure` is called once the engine has failed: both are called on the threads
    that drive the engine, which do nothing else meanwhile, so they must return at once.
    """

    def __init__(
        self,
        sizes: BatchSizes,
        limit: int,
        on_batch: Callable[[BatchReport], None],
        on_failure: Callable[[], None] = lambda: None,
        max_wait: float = 0.0,
        on_warm: Callable[[], None] = lambda: None,
        per_client: int | None = None,
    ) -> None:
        """`limit` counts images, `per_client` those of one client; `max_wait` is how many seconds a job may wait for an
        idle engine's batch to fill."""
        self.limit: Final = limit
        self._per_client: Final = per_client or limit
        self._of: Counter[str] = Counter()
        self._clients = ActiveClients()
        self.admitted = 0
        self.state = State.WARMING
        self._engine: BatchEngine | None = None
        self._on_batch = on_batch
        self._on_failure = on_failure
        self._on_warm = on_warm
        self._schedule: Final = Schedule(sizes, max_wait)
        self._ahead: Final = sizes.in_flight > 1
        self._resident: dict[int, TaskVector | Head] = {}
        self._writes: list[tuple[int, TaskVector | Head]] = []
        self._writing_since: float | None = None
        self._stopped = False
        self._failure: BaseException | None = None
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self, engine: BatchEngine) -> None:
        """Warm an engine up on its own thread, write every slot, and serve; `state` tells when it is ready.

        To be called once, and again with another engine like it after a failure; in any other state does nothing.
        """
        with self._wake:
            fresh = self._thread is None and not self._stopped
            if not fresh and self.state is not State.FAILED:
                return
            if self.state is State.FAILED:
                self.state = State.WARMING
                self._stopped = False
            self._engine = engine
            self._writes = list(self._resident.items())
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the batch under way, fail what waits, and join the thread."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def drain(self) -> None:
        """Admit nothing more; what is in hand is finished."""
        with self._wake:
            self.state = State.DRAINING

    @property
    def ready(self) -> bool:
        """Warmed up, checked, not draining, and not held up by a batch that takes many times what its like take."""
        return self.state is State.READY and not self._held_up()

    def _held_up(self) -> bool:
        taken, expected = self.under_way() or (0.0, 0.0)
        return _HELD_UP_SECONDS < taken > _TIMES_EXPECTED * expected

    @property
    def crowded(self) -> bool:
        """Whether several clients ask, and one of them little."""
        return self._schedule.crowded

    def check_room(self, images: int = 1, client: str = "") -> None:
        """Raises NotReady or QueueFull where `images` more of a client would not be admitted now."""
        if self.state is not State.READY:
            raise NotReady
        if self.admitted + images > self.limit:
            raise QueueFull
        if self._of[client] + images > self._per_client:
            raise ShareFull

    def admit(self, images: int, client: str = "") -> Ticket:
        """Count `images` as in hand until `release`. Raises NotReady or QueueFull."""
        self.check_room(images, client)
        self.admitted += images
        self._of[client] += images
        self._schedule.crowded = self._clients.asks(client, self._of[client])
        return Ticket(images, client)

    def release(self, ticket: Ticket) -> None:
        self.admitted -= ticket.images
        self._of[ticket.client] -= ticket.images
        if not self._of[ticket.client]:
            del self._of[ticket.client]

    def write(self, slot: int, content: TaskVector | Head) -> None:
        """Have `content` in `slot` before any job that is queued from now on is launched."""
        with self._wake:
            self._resident[slot] = content
            self._writes.append((slot, content))
            self._wake.notify()

    def waiting(self) -> int:
        """Jobs in the queue, those on the engine not counted."""
        with self._wake:
            return self._schedule.waiting()

    def under_way(self) -> tuple[float, float] | None:
        """As `Schedule.under_way`; a write into the bank, which is expected to take no time, counts like a batch."""
        with self._wake:
            if self._writing_since is not None:
                return time.monotonic() - self._writing_since, 0.0
            return self._schedule.under_way()

    async def infer(self, job: Job) -> Row:
        """Queue an admitted job, and wait for its answer.

        Cancelled, the job is not computed unless it has been launched. Raises DeadlineExceeded where it was to be
        launched too late, NotReady where the service stops, and ServiceError where the engine failed.
        """
        job.done = asyncio.get_running_loop().create_future()
        self._queue(job)
        try:
            await job.done
        except asyncio.CancelledError:
            with self._wake:
                self._schedule.remove(job)
            raise
        if job.error is not None:
            raise job.error
        assert job.answer is not None
        return job.answer

    def _queue(self, job: Job) -> None:
        job.queued_at = time.monotonic()
        with self._wake:
            if not self._stopped and self.state is not State.FAILED:
                self._schedule.push(job)
                if self._may_launch() or (self._schedule.has_room() and self._schedule.waiting() == 1):
                    self._wake.notify()  # else it is awake, knows when to look again, or is woken by what is done
                return
        self._fail([job], NotReady)

    def _run(self) -> None:
        failed = self._serve()
        # Only now, with the error and its traceback gone, does nothing hold the failed engine any more.
        if failed:
            self._close(State.FAILED, ServiceError)
            self._on_failure()
        else:
            self._close(self.state, NotReady)

    def _serve(self) -> bool:
        """Until stopped. True where the engine failed."""
        assert self._engine is not None
        try:
            self._engine.warm_up()
            self._on_warm()
            with self._wake:
                if self.state is State.WARMING:
                    self.state = State.READY
            log.info("the engine is warmed up and checked")
            with CompletionThread(self._complete, self._break) as completion:
                while self._step(completion):
                    pass
        except BaseException:  # SystemExit too: whatever ends this thread, the engine is no more
            # As text: whoever keeps the record would keep the traceback's frames, and with them the engine.
            log.error("the engine failed; the service is no longer ready\n%s", format_exc())
            return True
        return False

    def _break(self, error: BaseException) -> None:
        with self._wake:
            self._failure = error
            self._wake.notify()

    def _close(self, state: State, error: type[ServiceError]) -> None:
        with self._wake:
            if self.state is not State.DRAINING:
                self.state = state
            self._stopped = True
            self._engine = self._failure = self._writing_since = None
            left = self._schedule.clear()
        self._fail(left, error)

    def _step(self, completion: CompletionThread[Batch]) -> bool:
        """Write what is to be written and launch a batch, as soon as there is something to do. False when stopped."""
        with self._wake:
            while not (self._stopped or self._failure or self._writes or self._may_launch()):
                self._wake.wait(self._schedule.seconds_to_launch())
            if self._failure:
                raise self._failure
            if self._stopped:
                return False
            writes, self._writes = self._writes, []
            batch, expired = self._schedule.take() if self._may_launch() else (None, [])
        self._fail(expired, DeadlineExceeded)
        assert self._engine is not None
        self._writing_since = time.monotonic() if writes else None
        for slot, content in writes:
            self._engine.write_slot(slot, content)
        self._writing_since = None
        if batch is not None:
            self._launch(batch, completion)
        return True

    def _may_launch(self) -> bool:
        return not self._stopped and self._schedule.seconds_to_launch() == 0

    def _launch(self, batch: Batch, completion: CompletionThread[Batch]) -> None:
        pixels = np.stack([job.pixels for job in batch.jobs])
        assert self._engine is not None
        pending = self._engine.submit(batch.program, pixels, [job.slot for job in batch.jobs])
        if self._ahead:
            completion.put(batch, pending)
        else:
            self._complete(batch, pending.result())

    def _complete(self, batch: Batch, answers: Answers) -> None:
        for job, answer in zip(batch.jobs, answers, strict=True):
            job.answer = answer
        with self._wake:
            seconds = self._schedule.complete(batch)
            self._wake.notify()
        size = len(batch.jobs)
        bucket = self._schedule.times[batch.program].bucket(size)
        self._on_batch(BatchReport(size, len({job.task for job in batch.jobs}), seconds, bucket))
        _deliver(batch.jobs)

    @staticmethod
    def _fail(jobs: Sequence[Job], error: type[ServiceError]) -> None:
        for job in jobs:
            job.error = error
        if jobs:
            _deliver(jobs)


def _deliver(jobs: Sequence[Job]) -> None:
    """From the engine's threads to the event loop, once for a whole batch."""
    assert jobs[0].done is not None
    jobs[0].done.get_loop().call_soon_threadsafe(_resume, jobs)


def _resume(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.done is not None and not job.done.done():  # else whoever waited for it has left
            job.done.set_result(None)
