"""One admitted request on its way: decode -> infer -> encode, for each of its images.

    event loop -> codec process -> event loop -> batcher (engine's thread) -> event loop -> codec process -> event loop

The event loop passes pictures on and does nothing to them. Everything here runs on it. Whoever cancels a run has
everything cancelled that was not begun: its pictures are forgotten, and nothing more of it is launched.
"""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from engine.task_vector import AnswerSettings
from service.batching.batcher import Batcher
from service.batching.jobs import Job, Ticket
from service.codec.codec import EncodedAnswer
from service.codec.spec import ImageSpec
from service.codec.workers.pool import CodecPool
from service.codec.workers.process import CodecJob
from service.errors import InvalidRequest
from service.pipeline.call import Call
from service.telemetry.metrics import Metrics
from service.telemetry.timing import Timing

TimedAnswer = tuple[EncodedAnswer, Timing]


@dataclass(slots=True, eq=False)
class RequestRun:
    """A request, and what answers it."""

    codecs: CodecPool
    batcher: Batcher
    metrics: Metrics
    call: Call
    ticket: Ticket
    slot: int
    """Where its task vector lies in the bank."""
    settings: AnswerSettings
    deadline: float
    """time.monotonic() seconds."""
    jobs: list[Job] = field(init=False, default_factory=list)

    async def answers(self) -> list[TimedAnswer]:
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

    async def _answer(self, index: int, alone: bool) -> TimedAnswer:
        """One image's whole life. `alone`: the server has nothing else in hand."""
        began = monotonic()
        image = CodecJob(self._spec(index), alone)
        try:
            decoded = await self.codecs.decode(image)
            task = self.call.options.task or ""
            job = Job(self.ticket, decoded.program, decoded.pixels, self.slot, task, self.deadline)
            self.jobs.append(job)
            answer = await self.batcher.infer(job)
            encoded = await self.codecs.encode(image, answer)
        finally:
            self.codecs.forget(image)
        timing = Timing(
            decode=1e3 * (job.queued_at - began),
            queue=1e3 * (job.started_at - job.queued_at),
            compute=1e3 * (job.finished_at - job.started_at),
            encode=1e3 * (monotonic() - job.finished_at),
        )
        self.metrics.stages(timing.stages)
        return encoded, timing

    def _spec(self, index: int) -> ImageSpec:
        call, options = self.call, self.call.options
        image, mask = call.images[index], call.masks[index] if call.masks else None
        return ImageSpec(image, call.example, mask, options.size, options.format, call.encoded, self.settings)

    @property
    def fully_launched(self) -> bool:
        """Whether the engine was given every image."""
        return sum(job.launched_at is not None for job in self.jobs) == len(self.call.images)


def answer_settings(stored: AnswerSettings, call: Call) -> AnswerSettings:
    """The artifact's settings, with what the request asks for in their place.

    Raises InvalidRequest for what the task has no use for.
    """
    options = call.options
    if call.masks and stored.refine != "hole":
        raise InvalidRequest("mask: this task fills no holes.")
    if options.threshold == "auto" and stored.threshold is None:
        raise InvalidRequest("threshold: this task paints no masks.")
    return stored.asked(options.refine, options.threshold)
