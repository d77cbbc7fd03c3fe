"""Answers a call: admission, its task's slot in the bank, and what is counted of those who get no answer."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Final

from engine.runner import Progress
from engine.task_vector import AnswerSettings
from service.batching.batcher import Batcher, State
from service.batching.engine import BuiltEngine, ServedEngine
from service.batching.jobs import Ticket
from service.batching.status import EngineStatus
from service.batching.supervisor import Supervisor
from service.batching.watchdog import Watchdog
from service.codec.workers.pool import CodecPool
from service.errors import ClientClosed, DeadlineExceeded, NotReady, QueueFull, ServiceError
from service.memory import settle
from service.pipeline.call import Call, Outcome
from service.pipeline.interruption import Interruption
from service.pipeline.request_run import RequestRun, TimedAnswer, answer_settings
from service.settings import Settings
from service.tasks.registry import TaskRegistry
from service.telemetry.metrics import DropReason, Metrics
from service.telemetry.timing import Timing

_NO_SLOT: Final = 0
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
        end: Callable[[], None],
    ) -> None:
        """`build` makes the engine that `plan` tells of, and another like it in case that one fails. `end` ends the
        process, at once, when the engine hangs."""
        self.registry: Final = registry
        self.tile: Final = plan.geometry.tile
        self.status: Final = EngineStatus()
        self._build_engine = build
        self._metrics = metrics
        where = plan.device.type
        self._codecs = CodecPool(
            settings.codecs_beside(where),
            plan.geometry,
            settings.picture_limits,
            metrics.codec_process_died,
            niceness=0 if where == "cpu" else _NICER,
        )
        failed = threading.Event()
        self.batcher: Final = Batcher(
            plan, settings.images_in_hand(plan.max_batch), metrics.batch, failed.set, settings.max_wait_ms / 1e3, settle
        )
        self.supervisor: Final = Supervisor(self.batcher, failed, self._build, metrics.engine_restarted)
        self._watchdog: Final = Watchdog(self.batcher, end)

    async def start(self) -> None:
        """Returns when pictures can be read; the engine is still being built then. Raises OSError."""
        await self._codecs.start()
        self.supervisor.start()
        self._watchdog.start()

    async def stop(self) -> None:
        """Returns when the batch under way is done."""
        await asyncio.to_thread(self.supervisor.stop)
        await asyncio.to_thread(self.batcher.stop)
        await asyncio.to_thread(self._watchdog.stop)
        self._codecs.stop()

    def _build(self) -> BuiltEngine:
        """On the supervisor's thread."""

        def tell(line: str) -> None:
            self.supervisor.check_wanted()
            self.status.tell(line)

        engine = self._build_engine(tell)
        self.status.built(engine)
        self._metrics.engine_built(self.status.backend, self.status.runtime, len(self.status.passed_over))
        return engine

    def check_room(self) -> None:
        """Raises NotReady or QueueFull, and counts it, where not even one image would be admitted now.

        For a look before a body is read: what is refused anyway must not cost those in hand.
        """
        try:
            self.batcher.check_room()
        except ServiceError as error:
            self._count_refusal(error)
            raise

    async def answer(self, call: Call, client: str, interruption: Interruption) -> Outcome:
        """Answer `call`, inside the block of `interruption`.

        Images of one `client` wait behind each other, those of several take turns. Raises the ServiceError that ended
        it. Cancelled, nothing more of it is computed.
        """
        artifact = self.registry.artifact(call.options.task) if call.options.task else None
        settings = answer_settings(artifact.vector.answer if artifact else AnswerSettings(), call)
        try:
            ticket = self.batcher.admit(len(call.images), client)
            try:
                if artifact is None:
                    answers = await self._run(call, ticket, settings, _NO_SLOT, interruption)
                else:
                    with self.registry.pinned(artifact, self.batcher.write) as slot:
                        answers = await self._run(call, ticket, settings, slot, interruption)
            finally:
                self.batcher.release(ticket)
        except ServiceError as error:
            self._count_refusal(error)
            raise
        return Outcome([answer for answer, _ in answers], Timing.longest(timing for _, timing in answers), artifact)

    async def _run(
        self, call: Call, ticket: Ticket, settings: AnswerSettings, slot: int, interruption: Interruption
    ) -> list[TimedAnswer]:
        run = RequestRun(self._codecs, self.batcher, self._metrics, call, ticket, slot, settings, interruption.deadline)
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
