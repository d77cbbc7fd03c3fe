"""Answers a call: admission, its task's slot in the bank, and what is counted of those who get no answer."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from engine.classification.head import Head
from engine.runner import Progress
from engine.task_vector import AnswerSettings, TaskVector
from service.batching.batcher import Batcher, State
from service.batching.engine import BuiltEngine, ServedEngine
from service.batching.jobs import Ticket
from service.batching.overdue import OverdueBatch, OverdueRebuild
from service.batching.status import EngineStatus
from service.batching.supervisor import Supervisor
from service.batching.tower import TowerLoader
from service.codec.spec import Square
from service.codec.workers.fork_server import ForkServer
from service.codec.workers.pool import CodecPool
from service.errors import ClientClosed, DeadlineExceeded, NotReady, QueueFull, ServiceError
from service.memory import settle
from service.pipeline.call import Call, Classified, Outcome, Painted
from service.pipeline.interruption import Interruption
from service.pipeline.options import check_classifying, painting_settings
from service.pipeline.request_run import AnswerT, ClassifyingRun, PaintingRun, RequestRun
from service.pipeline.slot_check import NO_SLOT, SlotChecks
from service.settings import Settings
from service.tasks.installed import InstalledTask
from service.tasks.registry import TaskRegistry
from service.telemetry.metrics import DropReason, Metrics
from service.telemetry.timing import Timing

_DROPPED: Final[Mapping[type[BaseException], DropReason]] = {
    DeadlineExceeded: "deadline",
    ClientClosed: "disconnected",
}
_NICER: Final = 5
"""Codec processes beside an engine elsewhere: what decodes more than is computed, or holds up who answers, helps
nobody. Where the engine computes on the same processor, an answer that only has to be encoded would wait for it."""


class Pipeline:
    """The engine, its batcher and the codec processes, as one object with a beginning and an end."""

    def __init__(
        self,
        plan: ServedEngine,
        build: Callable[[Progress], BuiltEngine],
        registry: TaskRegistry,
        metrics: Metrics,
        settings: Settings,
        tower: TowerLoader | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        """`build` makes the engine that `plan` tells of, and another like it in case that one fails; `tower` gives it
        what classifies. `fork_server` forks the codec processes."""
        self.registry: Final = registry
        self.tile: Final = plan.geometry.tile
        self.status: Final = EngineStatus()
        about = plan.tower.about if plan.tower else None
        self.square: Final = Square(about.size, about.shorter_edge) if about else None
        self._build_engine, self._tower = build, tower
        self._metrics = metrics
        where = plan.device.type
        self._codecs = CodecPool(
            settings.codecs_beside(where),
            plan.geometry,
            settings.picture_limits,
            metrics.codec_process_died,
            niceness=0 if where == "cpu" else _NICER,
            picture_seconds=settings.picture_seconds,
            fork_server=fork_server,
            crowded=lambda: self.batcher.crowded,
        )
        failed = threading.Event()
        self.batcher: Final = Batcher(
            plan,
            settings.images_in_hand(plan.max_batch),
            metrics.batch,
            failed.set,
            settings.max_wait_ms / 1e3,
            settle,
            settings.images_per_client(plan.max_batch),
        )
        tower_side = self.square.side if self.square else 0
        self._slot_checks = SlotChecks(self.batcher, registry, metrics, plan.geometry, tower_side)
        self.supervisor: Final = Supervisor(self.batcher, failed, self._build, metrics.engine_restarted)
        self.checks: Final = OverdueBatch(self.batcher), OverdueRebuild(self.supervisor)
        """For a watchdog."""

    async def start(self) -> None:
        """Returns when pictures can be read; the engine is still being built then. Raises OSError."""
        await self._codecs.start()
        self.supervisor.start()

    async def stop(self) -> None:
        """Returns when the batch under way is done."""
        await asyncio.to_thread(self.supervisor.stop)
        await asyncio.to_thread(self.batcher.stop)
        self._codecs.stop()

    def _build(self) -> BuiltEngine:
        """On the supervisor's thread."""

        def tell(line: str) -> None:
            self.supervisor.check_wanted()
            self.status.tell(line)

        engine = self._build_engine(tell)
        if self._tower is not None:
            self._tower.fit_out(engine, tell)
        self.status.built(engine)
        self._metrics.engine_built(self.status.backend, self.status.runtime, len(self.status.passed_over))
        return engine

    def check_room(self, client: str) -> None:
        """Raises NotReady or QueueFull, and counts it, where not even one image of a client would be admitted now.

        For a look before a body is read: what is refused anyway must not cost those in hand.
        """
        try:
            self.batcher.check_room(client=client)
        except ServiceError as error:
            self._count_refusal(error)
            raise

    async def answer(self, call: Call, client: str, interruption: Interruption) -> Outcome:
        """Answer `call`, inside the block of `interruption`.

        Images of one `client` wait behind each other, those of several take turns. Raises the ServiceError that ended
        it. Cancelled, nothing more of it is computed.
        """
        task = self.registry.served(call.options.task) if call.options.task else None
        try:
            if task is not None and isinstance(task.content, Head):
                return await self._classified(call, client, task, task.content, interruption)
            return await self._painted(call, client, task, interruption)
        except ServiceError as error:
            self._count_refusal(error)
            raise

    async def _painted(
        self, call: Call, client: str, task: InstalledTask | None, interruption: Interruption
    ) -> Painted:
        stored = task.content.answer if task and isinstance(task.content, TaskVector) else AnswerSettings()
        settings, deadline = painting_settings(stored, call), interruption.deadline
        with self._admitted(call, client, task) as (ticket, slot):
            parts = self._codecs, self.batcher, self._metrics
            is_bad = partial(self._slot_checks.is_bad, task=task)
            run = PaintingRun(*parts, call, ticket, slot, deadline, is_bad, settings=settings)
            answers = await self._finished(run, interruption)
        return Painted([answer for answer, _ in answers], Timing.longest(timing for _, timing in answers), task)

    async def _classified(
        self, call: Call, client: str, task: InstalledTask, head: Head, interruption: Interruption
    ) -> Classified:
        check_classifying(call)
        assert self.square is not None  # or the task would not have been installed
        with self._admitted(call, client, task) as (ticket, slot):
            parts = self._codecs, self.batcher, self._metrics
            is_bad = partial(self._slot_checks.is_bad, task=task)
            run = ClassifyingRun(*parts, call, ticket, slot, interruption.deadline, is_bad, square=self.square)
            answers = await self._finished(run, interruption)
        scores = [row[: len(head.labels)] for row, _ in answers]
        return Classified(scores, head.labels, head.tower, Timing.longest(timing for _, timing in answers), task)

    @contextmanager
    def _admitted(self, call: Call, client: str, task: InstalledTask | None) -> Iterator[tuple[Ticket, int]]:
        """The call's images are in hand, and its task lies in a slot. Raises NotReady or QueueFull."""
        ticket = self.batcher.admit(len(call.images), client)
        try:
            if task is None:
                yield ticket, NO_SLOT
            else:
                with self.registry.pinned(task, self.batcher.write) as slot:
                    yield ticket, slot
        finally:
            self.batcher.release(ticket)

    async def _finished(self, run: RequestRun[AnswerT], interruption: Interruption) -> list[tuple[AnswerT, Timing]]:
        try:
            return await run.answers()
        except (asyncio.CancelledError, DeadlineExceeded) as error:
            reason = _DROPPED.get(interruption.reason or type(error))
            if reason is not None and not run.fully_launched:
                self._metrics.dropped(reason)
            raise

    def _count_refusal(self, error: ServiceError) -> None:
        """At admission and after it: a bank of which every slot is in use, a batcher that stops."""
        if isinstance(error, QueueFull):
            self._metrics.dropped("queue_full")
        elif isinstance(error, NotReady) and self.batcher.state is State.DRAINING:
            self._metrics.dropped("draining")
