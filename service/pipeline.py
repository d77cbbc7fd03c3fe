"""Answers a call: admission, deadline, disconnect, and what is counted about them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final

from artifacts.store.artifact import Artifact
from engine.runtime import Engine
from engine.task_vector import AnswerSettings
from service.batching.batcher import Batcher, State
from service.batching.jobs import Job, Ticket
from service.batching.supervisor import Supervisor
from service.codec.codec import Answer, answer_settings
from service.codec.workers.pool import CodecPool
from service.errors import ClientClosed, DeadlineExceeded, NotReady, QueueFull
from service.http.calls import Call
from service.request_run import Crew, Flight, Landed, Timing, finish_all
from service.settings import Settings
from service.tasks.registry import TaskRegistry
from service.telemetry.metrics import Metrics

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_NO_SLOT: Final = 0
_NICER: Final = 5
"""Codec processes beside an engine elsewhere: what decodes more than is computed, or holds up who answers, helps
nobody. Where the engine computes on the same processor, an answer that only has to be encoded would wait for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call's answers, in the order of its images."""

    answers: list[Answer]
    timing: Timing
    artifact: Artifact | None


class Pipeline:
    """The engine, its batcher and the codec processes, as one object with a beginning and an end."""

    def __init__(
        self,
        engine: Engine,
        rebuild: Callable[[], Engine],
        registry: TaskRegistry,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        """`rebuild` makes another engine like `engine`, in case that one fails."""
        self.registry: Final = registry
        self.tile: Final = engine.geometry.tile
        self._metrics = metrics
        where = engine.device.type
        self._codecs = CodecPool(
            settings.codecs_beside(where),
            engine.geometry,
            settings.max_pixels,
            metrics.codec_process_died,
            niceness=0 if where == "cpu" else _NICER,
        )
        failed = threading.Event()
        self.batcher: Final = Batcher(
            engine,
            settings.queue_limit,
            self._deliver,
            metrics.batch,
            failed.set,
            settings.max_wait_ms / 1e3,
        )
        self.supervisor: Final = Supervisor(self.batcher, failed, rebuild, metrics.engine_restarted)
        self._crew = Crew(self._codecs, self.batcher, metrics)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Returns when pictures can be read; the engine is still warming up then. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self.batcher.start()
        self.supervisor.start()
        await self._codecs.start()

    async def stop(self) -> None:
        """Returns when the batch under way is done."""
        await asyncio.to_thread(self.supervisor.stop)
        await asyncio.to_thread(self.batcher.stop)
        self._codecs.stop()

    def _deliver(self, jobs: Sequence[Job]) -> None:
        """From the engine's threads to the event loop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(finish_all, jobs)

    def check_room(self) -> None:
        """Raises NotReady or QueueFull, and counts it, where not even one image would be admitted now.

        For a look before a body is read: what is refused anyway must not cost those in hand.
        """
        with self._counted_refusal():
            self.batcher.check_room()

    async def answer(self, call: Call, client: str, receive: Receive, deadline: float) -> Outcome:
        """Answer `call` before `deadline` (time.monotonic() seconds).

        Images of one `client` wait behind each other, those of several take turns. `receive` is watched for the
        client's leaving. Raises the ServiceError that ended it.
        """
        artifact = self.registry.artifact(call.options.task) if call.options.task else None
        with self._admitted(len(call.images), client) as ticket:
            if artifact is None:
                landed = await self._fly(call, ticket, AnswerSettings(), _NO_SLOT, receive, deadline)
            else:
                with self.registry.pinned(artifact, self.batcher.write) as slot:
                    stored = artifact.vector.answer
                    landed = await self._fly(call, ticket, stored, slot, receive, deadline)
        answers = [answer for answer, _ in landed]
        return Outcome(answers, Timing.longest(timing for _, timing in landed), artifact)

    @contextmanager
    def _admitted(self, images: int, client: str) -> Iterator[Ticket]:
        with self._counted_refusal():
            ticket = self.batcher.admit(images, client)
            try:
                yield ticket
            finally:
                self.batcher.release(ticket)

    @contextmanager
    def _counted_refusal(self) -> Iterator[None]:
        """Also for what comes after admission: a bank of which every slot is in use, a batcher that stops."""
        try:
            yield
        except QueueFull:
            self._metrics.dropped("queue_full")
            raise
        except NotReady:
            if self.batcher.state is State.DRAINING:
                self._metrics.dropped("draining")
            raise

    async def _fly(
        self,
        call: Call,
        ticket: Ticket,
        stored: AnswerSettings,
        slot: int,
        receive: Receive,
        deadline: float,
    ) -> list[Landed]:
        loop = asyncio.get_running_loop()
        settings = answer_settings(stored, call.options.refine)
        flight = Flight(
            self._crew, call, call.options.task or "", slot, settings, deadline, ticket, loop.create_future()
        )
        flight.start()
        watch = asyncio.create_task(_until_disconnect(receive))
        watch.add_done_callback(partial(_client_left, flight.landed))
        alarm = loop.call_later(deadline - monotonic(), _too_late, flight.landed)
        try:
            return await flight.landed
        except DeadlineExceeded:
            if flight.give_up():
                self._metrics.dropped("deadline")
            raise
        except ClientClosed:
            if flight.give_up():
                self._metrics.dropped("disconnected")
            raise
        finally:
            flight.close()
            alarm.cancel()
            watch.cancel()


def _too_late(landed: asyncio.Future[list[Landed]]) -> None:
    if not landed.done():
        landed.set_exception(DeadlineExceeded())


async def _until_disconnect(receive: Receive) -> None:
    """The server does not cancel a handler whose client leaves; it only says so here."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _client_left(landed: asyncio.Future[list[Landed]], watch: asyncio.Task[None]) -> None:
    # A channel that breaks is a client that left: its exception is taken note of and says nothing more.
    if watch.cancelled():
        return
    watch.exception()
    if not landed.done():
        landed.set_exception(ClientClosed())
