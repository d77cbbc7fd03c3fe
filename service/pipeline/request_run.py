"""One admitted request on its way: decode -> infer -> encode, for each of its images. Classes need no encoding.

    event loop -> codec process -> event loop -> batcher (engine's thread) -> event loop -> codec process -> event loop

The event loop passes pictures on and does nothing to them. Everything here runs on it. Whoever cancels a run has
everything cancelled that was not begun: its pictures are forgotten, and nothing more of it is launched.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Generic, TypeVar

import numpy as np

from engine.runner import Row
from engine.task_vector import AnswerSettings
from service.batching.batcher import Batcher
from service.batching.jobs import Job, Ticket
from service.codec.codec import EncodedAnswer
from service.codec.spec import ImageSpec, Square
from service.codec.workers.pool import CodecPool
from service.codec.workers.process import CodecJob
from service.errors import InvalidImage, ServiceError
from service.pipeline.call import Call
from service.telemetry.metrics import Metrics
from service.telemetry.timing import Timing

AnswerT = TypeVar("AnswerT")
_FEATURELESS: Final = "The image tower finds nothing in an image that could be compared with the classes."


@dataclass(slots=True, eq=False)
class RequestRun(ABC, Generic[AnswerT]):
    """A request, and what answers it."""

    codecs: CodecPool
    batcher: Batcher
    metrics: Metrics
    call: Call
    ticket: Ticket
    slot: int
    """Where its task lies in the bank."""
    deadline: float
    """time.monotonic() seconds."""
    is_bad: Callable[[Row, Job], Awaitable[bool]]
    """Whether what the engine made of a job is no answer, and not for its picture's sake."""
    jobs: list[Job] = field(init=False, default_factory=list)

    async def answers(self) -> list[tuple[AnswerT, Timing]]:
        """In the order of the images. Raises the ServiceError of the first image that fails."""
        alone = self.batcher.admitted == 1
        if len(self.call.images) == 1:
            return [await self._answer(0, alone)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._answer(index, alone)) for index in range(len(self.call.images))]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer(self, index: int, alone: bool) -> tuple[AnswerT, Timing]:
        """One image's whole life. `alone`: the server has nothing else in hand."""
        began = monotonic()
        image = CodecJob(self.spec(index), alone, self.ticket.client)
        try:
            decoded = await self.codecs.decode(image)
            task = self.call.options.task or ""
            job = Job(self.ticket, decoded.program, decoded.pixels, self.slot, task, self.deadline)
            self.jobs.append(job)
            row = await self.batcher.infer(job)
            if await self.is_bad(row, job):
                raise ServiceError
            answer = await self.encoded(image, row)
        finally:
            self.codecs.forget(image)
        timing = Timing(
            decode=1e3 * (job.queued_at - began),
            queue=1e3 * (job.started_at - job.queued_at),
            compute=1e3 * (job.finished_at - job.started_at),
            encode=1e3 * (monotonic() - job.finished_at),
        )
        self.metrics.stages(timing.stages)
        return answer, timing

    @abstractmethod
    def spec(self, index: int) -> ImageSpec:
        """What is asked of the codec for an image."""

    @abstractmethod
    async def encoded(self, image: CodecJob, row: Row) -> AnswerT:
        """What the engine said of an image, as it is answered. Raises ServiceError."""

    @property
    def fully_launched(self) -> bool:
        """Whether the engine was given every image."""
        return sum(job.launched_at is not None for job in self.jobs) == len(self.call.images)


@dataclass(slots=True, eq=False)
class PaintingRun(RequestRun[EncodedAnswer]):
    """Answers with pictures."""

    settings: AnswerSettings = field(kw_only=True)

    def spec(self, index: int) -> ImageSpec:
        call, options = self.call, self.call.options
        image, mask = call.images[index], call.masks[index] if call.masks else None
        return ImageSpec(image, call.example, mask, options.size, options.format, call.encoded, self.settings)

    async def encoded(self, image: CodecJob, row: Row) -> EncodedAnswer:
        return await self.codecs.encode(image, row)


@dataclass(slots=True, eq=False)
class ClassifyingRun(RequestRun[Row]):
    """Answers with scores float32 [C]."""

    square: Square = field(kw_only=True)

    def spec(self, index: int) -> ImageSpec:
        return ImageSpec(self.call.images[index], None, None, "native", "png", False, _UNREFINED, self.square)

    async def encoded(self, image: CodecJob, row: Row) -> Row:
        if not np.isfinite(row).all():
            raise InvalidImage(_FEATURELESS)
        return row


_UNREFINED = AnswerSettings()
