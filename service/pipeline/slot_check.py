"""Who is to blame for an answer that looks bad: the picture, the slot's memory, the vector, or the engine.

An answer of one colour may be right, as a mask of nothing is, and so may the answer that another picture just got;
clients choose the pictures. So only pictures of the server's own count as evidence. They go through the same slot.
Where one of them is answered otherwise, the slot is sound. Where none is, the slot is written again from what was
installed; where that does not help, and the same pictures are answered without a vector, the vector is bad itself, and
its task is taken out of service alone.
"""

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import numpy as np

from engine.classification.head import Head
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from engine.runner import Row
from engine.tolerance import check_picture
from service.batching.batcher import Batcher
from service.batching.jobs import Job
from service.pipeline.answer_check import looks_bad, none_is_an_answer
from service.pipeline.last_answers import LastAnswers
from service.tasks.installed import InstalledTask
from service.tasks.registry import TaskRegistry
from service.telemetry.metrics import Metrics

log: Final = logging.getLogger("vtv.pipeline")
NO_SLOT: Final = 0
"""Of the bank: it writes nothing."""


def own_pictures(side: int) -> list[Pixels]:
    """Three that share neither brightness nor form, uint8 [side,side,3]: waves of every frequency, a bright thing on
    black, and a dark one on white."""
    thing = np.zeros((side, side, 3), np.uint8)
    thing[side // 4 : side // 2, side // 4 : side // 2] = 255
    return [check_picture(side), thing, 255 - thing]


@dataclass(slots=True)
class _Found:
    """What is known of a slot; of jobs launched before these, in time.monotonic() seconds."""

    sound: float = float("-inf")
    written: float = float("-inf")
    """As it was found bad."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SlotChecks:
    """Belongs to the event loop. What is asked of the engine waits in the turn of the client whose answer it was, so
    that nobody makes others pay for it."""

    def __init__(
        self, batcher: Batcher, registry: TaskRegistry, metrics: Metrics, geometry: Geometry, tower_side: int = 0
    ) -> None:
        """`tower_side` is of the pictures that the image tower takes, where there is one."""
        self._batcher, self._registry, self._metrics = batcher, registry, metrics
        self._geometry, self._tower_side = geometry, tower_side
        self._last: Final = LastAnswers()
        self._found: defaultdict[int, _Found] = defaultdict(_Found)

    async def is_bad(self, answer: Row, job: Job, task: InstalledTask | None) -> bool:
        """Whether an answer is none: it looks so, and its slot is not sound. It is counted then, and what can be done
        has been done. Raises ServiceError where the engine could not be asked in time.

        The slot must be pinned.
        """
        if not (looks_bad(answer, job.pixels) or self._repeats(answer, job, task)):
            return False
        found = self._found[job.slot]
        async with found.lock:
            known = task is not None and self._known_bad(found, job, task)
            if not known and await self._is_sound(found, answer, job):
                return False
            self._metrics.bad_answer()
            log.error("task %s: the engine made no answer, whatever the picture shows", job.task or "of the request")
            if task is not None and not known:
                await self._mend(found, answer, job, task)
        return True

    def _repeats(self, answer: Row, job: Job, task: InstalledTask | None) -> bool:
        """Whether another picture got this answer just before. Scores are passed over: a class that is certain has the
        same for many pictures, and a head that tells no classes apart is refused when it is read."""
        version = task.hash if task else ""
        return answer.ndim > 1 and self._last.repeats(answer, job.pixels, job.slot, version)

    def _known_bad(self, found: _Found, job: Job, task: InstalledTask) -> bool:
        """Whether what an answer came from was found bad meanwhile: there is nothing left to do."""
        return (job.launched_at or 0.0) <= found.written or self._registry.is_faulty(task)

    async def _is_sound(self, found: _Found, answer: Row, job: Job) -> bool:
        """Whether the slot that an answer came from answers the server's own pictures, now or since."""
        if (job.launched_at or 0.0) <= found.sound:
            return True
        began = monotonic()
        if not await self._answers(job, job.slot, answer):
            return False
        found.sound = began
        self._last.trust(job.slot)
        return True

    async def _mend(self, found: _Found, answer: Row, job: Job, task: InstalledTask) -> None:
        """Write a bad slot again; where that does not help, find out why."""
        self._batcher.write(job.slot, task.content)
        found.written = monotonic()
        if await self._answers(job, job.slot, answer):
            log.warning("task %s: its slot had gone bad, and is right since it was written again", task.name)
        elif isinstance(task.content, Head) or not await self._answers(job, NO_SLOT):
            # A head's numbers are bounded when it is installed: what it cannot tell, the image tower cannot.
            log.error("the engine answers no picture of the server's own, and not for the task's sake")
        elif self._registry.take_out(task):
            log.error(
                "task %s: version %s is out of service, as it paints the same whatever the picture: publish another",
                task.name,
                task.hash[:12],
            )

    async def _answers(self, job: Job, slot: int, *before: Row) -> bool:
        """Whether the engine makes an answer of one of the server's own pictures, or of one another than of the rest
        and than `before`, with what lies in a slot."""
        answers = [*before]
        for pixels in self._pictures(job.program):
            own = Job(job.ticket, job.program, pixels, slot, job.task, job.deadline)
            answers.append(await self._batcher.infer(own))
            if len(answers) > 1 and not none_is_an_answer(answers):
                return True
        return False

    def _pictures(self, program: EngineProgram) -> list[Pixels]:
        """As a program takes them."""
        if program == "classify":
            return own_pictures(self._tower_side)
        cells = own_pictures(self._geometry.cell)
        if program == "zero_shot":
            return list(self._geometry.query_tile(np.stack(cells)))
        return [self._geometry.canvas(cells[0], cells[0], cell) for cell in cells]
