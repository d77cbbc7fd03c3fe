"""An engine whose every batch a test lets through by hand, and a batcher around it."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Queue

import numpy as np

from engine.classification.head import Head
from engine.geometry import Pixels
from engine.program import EngineProgram
from engine.runner import Done, Pending
from engine.task_vector import TaskVector
from service.batching.batcher import Batcher
from service.batching.jobs import Job, Ticket
from service.errors import ServiceError
from service.telemetry.metrics import BatchReport
from tests.support import EventLoop

PATIENCE = 10.0
"""Seconds after which something that must happen counts as not happening."""


class GatedEngine:
    """Reports each call in `calls`, then waits for one permit before it returns."""

    in_flight = 1

    def __init__(self) -> None:
        self.calls: Queue[tuple[str, list[int]]] = Queue()
        self.permits = threading.Semaphore(0)
        self.broken = False

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return 1, 2, 4

    def warm_up(self) -> None:
        if self.broken:
            raise RuntimeError("no luck")

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        self.calls.put(("write", [slot]))

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Pending:
        return Done(self.compute(program, pixels, [0] * len(pixels) if program == "one_shot" else list(slots)))

    def compute(self, program: str, pixels: Pixels, slots: list[int]) -> Pixels:
        self.calls.put((program, slots))
        assert self.permits.acquire(timeout=PATIENCE)
        if self.broken:
            raise RuntimeError("no luck")
        return pixels + np.array(slots, np.uint8).reshape(-1, 1)


class AheadEngine(GatedEngine):
    """Can be launched one batch ahead; computes on a thread of its own, as a GPU does on its stream."""

    in_flight = 2

    def __init__(self) -> None:
        super().__init__()
        self.launched: Queue[list[int]] = Queue()
        self._stream = ThreadPoolExecutor(1)

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> "Future[Pixels]":
        self.launched.put(list(slots))
        return self._stream.submit(self.compute, program, pixels, list(slots))


class Bench:
    """A batcher, its engine, an event loop that asks it, and every job that came back, in that order."""

    def __init__(
        self, loop: EventLoop, limit: int = 16, engine: GatedEngine | None = None, max_wait: float = 0.0
    ) -> None:
        self.engine = engine or GatedEngine()
        self.delivered: Queue[Job] = Queue()
        self.reports: list[BatchReport] = []
        self.batcher = Batcher(self.engine, limit, self.reports.append, max_wait=max_wait)
        self._loop = loop
        self._asked: dict[Job, asyncio.Task[None]] = {}

    def job(
        self,
        slot: int = 1,
        program: EngineProgram = "zero_shot",
        deadline: float = float("inf"),
        ticket: Ticket | None = None,
    ) -> Job:
        pixels = np.full(3, 10, np.uint8)
        return Job(ticket or Ticket(1), program, pixels, slot, f"task-{slot}", deadline)

    def submit(self, *jobs: Job) -> None:
        """All are queued when this returns."""

        async def ask(job: Job) -> None:
            with suppress(ServiceError):
                await self.batcher.infer(job)
            self.delivered.put(job)

        async def ask_all() -> None:
            self._asked |= {job: asyncio.create_task(ask(job)) for job in jobs}
            await asyncio.sleep(0)

        self._loop.run(ask_all())

    def abandon(self, *jobs: Job) -> None:
        """Whoever waits for them leaves."""

        async def cancel_all() -> None:
            tasks = [self._asked[job] for job in jobs]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)

        self._loop.run(cancel_all())

    def called(self) -> tuple[str, list[int]]:
        return self.engine.calls.get(timeout=PATIENCE)

    def take(self, count: int) -> list[Job]:
        return [self.delivered.get(timeout=PATIENCE) for _ in range(count)]


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.001)
