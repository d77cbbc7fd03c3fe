"""One admitted request on its way through the codec's processes and the engine.

    event loop -> codec process -> event loop -> batcher (engine's thread) -> event loop -> codec process -> event loop

The event loop passes pictures on and does nothing to them. Everything here runs on it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from engine.task_vector import AnswerSettings
from service.batching.batcher import Batcher
from service.batching.jobs import Job, Ticket
from service.codec.codec import Answer, Order, Prepared
from service.codec.workers.pool import CodecPool
from service.codec.workers.process import Errand
from service.errors import ServiceError
from service.http.calls import Call
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds in each stage, waiting for it included: one begins where the one before ends."""

    queue: float = 0.0
    decode: float = 0.0
    compute: float = 0.0
    encode: float = 0.0

    @staticmethod
    def longest(timings: Iterable["Timing"]) -> "Timing":
        """Of the image that was answered last."""
        return max(timings, key=lambda timing: sum(timing.stages.values()))

    @property
    def stages(self) -> dict[str, float]:
        """By name, in the order of the way; `dataclasses.asdict` would take twenty times as long."""
        return {"decode": self.decode, "queue": self.queue, "compute": self.compute, "encode": self.encode}

    def header(self) -> str:
        """The value of a Server-Timing header."""
        return (
            f"queue;dur={self.queue:.3f}, decode;dur={self.decode:.3f}, "
            f"compute;dur={self.compute:.3f}, encode;dur={self.encode:.3f}"
        )


Landed = tuple[Answer, Timing]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works on every flight."""

    codecs: CodecPool
    batcher: Batcher
    metrics: Metrics


@dataclass(slots=True, eq=False)
class Flight:
    """A request's images, jobs and answers.

    `landed` gets the answers in the order of the images, or the first ServiceError.
    """

    crew: Crew
    call: Call
    task: str
    slot: int
    settings: AnswerSettings
    deadline: float
    """time.monotonic() seconds."""
    ticket: Ticket
    landed: asyncio.Future[list[Landed]]
    answers: dict[int, Landed] = field(init=False, default_factory=dict)
    started_at: float = field(init=False, default_factory=monotonic)
    errands: list[Errand] = field(init=False, default_factory=list)
    jobs: list[Job] = field(init=False, default_factory=list)

    def start(self) -> None:
        alone = self.crew.batcher.admitted == 1
        for index in range(len(self.call.images)):
            order = Order.of(self.call, index, self.settings)
            self.errands.append(self.crew.codecs.prepare(order, partial(self._board, index), self._fail, alone))

    def give_up(self) -> bool:
        """Compute nothing more for this request. True if some image had not been launched yet."""
        self.crew.batcher.abandon(self.ticket, self.jobs)
        for errand in self.errands:
            self.crew.codecs.give_up(errand)
        launched = [job for job in self.jobs if job.launched_at is not None]
        return len(launched) < len(self.call.images)

    def close(self) -> None:
        """Give up, and let go of what points back here: pictures would otherwise wait for the garbage collector."""
        self.give_up()
        self.errands.clear()
        self.jobs.clear()

    def _board(self, index: int, prepared: Prepared) -> None:
        finish = partial(self._finish, index)
        job = Job(self.ticket, prepared.program, prepared.pixels, self.slot, self.task, self.deadline, finish)
        self.jobs.append(job)
        self.crew.batcher.submit(job)

    def _finish(self, index: int, job: Job) -> None:
        if self.ticket.closed:
            return
        if job.error is not None:
            self._fail(job.error)
            return
        assert job.answer is not None
        self.crew.codecs.finish(self.errands[index], job.answer, partial(self._land, index, job))

    def _land(self, index: int, job: Job, answer: Answer) -> None:
        timing = Timing(
            decode=1e3 * (job.queued_at - self.started_at),
            queue=1e3 * (job.began_at - job.queued_at),
            compute=1e3 * (job.landed_at - job.began_at),
            encode=1e3 * (monotonic() - job.landed_at),
        )
        self.crew.metrics.stages(timing.stages)
        self.answers[index] = answer, timing
        if len(self.answers) == len(self.call.images) and not self.landed.done():
            self.landed.set_result([self.answers[index] for index in range(len(self.answers))])

    def _fail(self, error: ServiceError) -> None:
        if not self.landed.done():
            self.landed.set_exception(error)


def finish_all(jobs: Sequence[Job]) -> None:
    """What to do with jobs that the batcher is done with."""
    for job in jobs:
        job.finish(job)
