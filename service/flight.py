"""One admitted request on its way through the threads.

    event loop -> decoding thread -> batcher (engine's thread) -> encoding thread -> event loop

An image touches the event loop only at the ends, so neither a busy loop nor a slow codec holds a batch back.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Final

from engine.task_vector import AnswerSettings
from service.batcher import Batcher
from service.calls import Call
from service.codec import Answer, Codec, Prepared
from service.errors import ServiceError
from service.jobs import Job, Ticket
from service.metrics import Metrics

log: Final = logging.getLogger("vtv.flight")


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds in each stage."""

    queue: float = 0.0
    decode: float = 0.0
    compute: float = 0.0
    encode: float = 0.0

    @classmethod
    def longest(cls, timings: Iterable["Timing"]) -> "Timing":
        """Stage by stage."""
        return cls(*map(max, zip(*(timing.stages.values() for timing in timings), strict=True)))

    @property
    def stages(self) -> dict[str, float]:
        """By name; `dataclasses.asdict` would take twenty times as long."""
        return {"queue": self.queue, "decode": self.decode, "compute": self.compute, "encode": self.encode}

    def header(self) -> str:
        """The value of a Server-Timing header."""
        return ", ".join(f"{stage};dur={spent:.3f}" for stage, spent in self.stages.items())


Landed = tuple[Answer, Timing]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who works on every flight."""

    codec: Codec
    batcher: Batcher
    metrics: Metrics
    decoders: ThreadPoolExecutor
    encoders: ThreadPoolExecutor
    large_encoder: ThreadPoolExecutor
    """One thread, so that large answers wait for each other and hold nobody else up."""


@dataclass(slots=True, eq=False)
class Flight:
    """A request's images, jobs and answers.

    `landed` gets the answers in the order of the images, or the first ServiceError. Codec threads only
    read; what they bring back is stored by the event loop.
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
    jobs: list[Job] = field(init=False, default_factory=list)

    def start(self) -> None:
        for index in range(len(self.call.images)):
            self.crew.decoders.submit(self._guard, partial(self._decode, index))

    def give_up(self) -> bool:
        """Compute nothing more for this request. True if some image had not been launched yet."""
        self.crew.batcher.abandon(self.ticket, self.jobs)
        launched = [job for job in self.jobs if job.launched_at is not None]
        return len(launched) < len(self.call.images)

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a step on a codec thread; whatever it raises ends the request."""
        if self.ticket.closed:
            return
        try:
            step()
        except ServiceError as error:
            self._on_loop(partial(self._fail, error))
        except Exception:
            log.exception("a codec step failed")
            self._on_loop(partial(self._fail, ServiceError()))

    def _decode(self, index: int) -> None:
        started = perf_counter()
        prepared = self.crew.codec.prepare(self.call, index, self.settings)
        seconds = perf_counter() - started

        def finish(job: Job) -> None:
            step = partial(self._guard, partial(self._finish, job, index, prepared, seconds))
            if prepared.large:
                self.crew.large_encoder.submit(step)
            else:
                step()

        job = Job(self.ticket, prepared.program, prepared.pixels, self.slot, self.task, self.deadline, finish)
        self.jobs.append(job)
        self.crew.batcher.submit(job)

    def _finish(self, job: Job, index: int, prepared: Prepared, decode_seconds: float) -> None:
        if job.error is not None:
            raise job.error
        assert job.answer is not None
        started = perf_counter()
        answer = self.crew.codec.finish(job.answer, self.call, index, prepared.guide, self.settings)
        timing = Timing(
            queue=1e3 * job.queue_seconds,
            decode=1e3 * decode_seconds,
            compute=1e3 * job.compute_seconds,
            encode=1e3 * (perf_counter() - started),
        )
        self.crew.metrics.stages(timing.stages)
        self._on_loop(partial(self._land, index, (answer, timing)))

    def _on_loop(self, step: Callable[[], None]) -> None:
        self.landed.get_loop().call_soon_threadsafe(step)

    def _land(self, index: int, landed: Landed) -> None:
        self.answers[index] = landed
        if len(self.answers) == len(self.call.images) and not self.landed.done():
            self.landed.set_result([self.answers[index] for index in range(len(self.answers))])

    def _fail(self, error: ServiceError) -> None:
        if not self.landed.done():
            self.landed.set_exception(error)


def deliver(encoders: ThreadPoolExecutor, threads: int, jobs: Sequence[Job]) -> None:
    """Hand a batch's jobs to the `threads` encoding threads: a share each, as handing over has its price."""
    for first in range(min(threads, len(jobs))):
        encoders.submit(_finish_all, jobs[first::threads])


def _finish_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.finish(job)
