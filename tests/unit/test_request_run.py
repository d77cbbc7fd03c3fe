"""service.pipeline.request_run over real codec processes and a real batcher, whose engine computes when it is let."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import numpy as np
import pytest

from artifacts.pictures.limits import PictureLimits
from engine.classification.head import Head
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from engine.runner import Done
from engine.task_vector import AnswerSettings, TaskVector
from service.batching.batcher import Batcher
from service.codec.workers.pool import CodecPool
from service.errors import UnsupportedMedia
from service.pipeline.call import Call, Options
from service.pipeline.request_run import PaintingRun
from service.telemetry.metrics import BuildInfo, Metrics
from tests.support import PATIENCE, photo

GEOMETRY = Geometry()
GIF = b"GIF89a"


class HeldEngine:
    """Answers each picture with itself, once `gate` is open."""

    in_flight = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[int] = []

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return 1, 2, 4

    def warm_up(self) -> None:
        pass

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        raise NotImplementedError

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Done:
        self.batches.append(len(pixels))
        assert self.gate.wait(PATIENCE)
        return Done(pixels[:, 1:, :-1])


async def good(*_: object) -> bool:
    """Nothing is bad."""
    return False


@dataclass
class Service:
    """What answers requests, and the engine behind it."""

    engine: HeldEngine
    codecs: CodecPool
    batcher: Batcher
    metrics: Metrics

    def run(self, *images: bytes | Pixels) -> PaintingRun:
        """An admitted request for unrefined pixels."""
        call = Call(Options(task="identity"), images, encoded=False)
        ticket, settings = self.batcher.admit(len(images)), AnswerSettings(refine="none")
        parts = self.codecs, self.batcher, self.metrics
        return PaintingRun(*parts, call, ticket, 0, monotonic() + PATIENCE, good, settings=settings)

    def kept(self) -> int:
        """Pictures that the codec's processes keep for their answers."""
        return sum(len(process._kept) for process in self.codecs._processes)


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    engine, metrics = HeldEngine(), Metrics(BuildInfo("0", "m", "cpu", "b"))
    codecs = CodecPool(1, GEOMETRY, PictureLimits(1 << 20), lambda: None)
    service = Service(engine, codecs, Batcher(engine, 16, metrics.batch), metrics)
    service.batcher.start(engine)
    await service.codecs.start()
    await until(lambda: service.batcher.ready)
    try:
        yield service
    finally:
        engine.gate.set()
        await asyncio.to_thread(service.batcher.stop)
        service.codecs.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def in_service(test: Callable[[Service], Awaitable[None]]) -> None:
    async def serve() -> None:
        async with serving() as service:
            await test(service)

    asyncio.run(serve())


async def occupied(service: Service) -> "asyncio.Task[list[object]]":
    """A request that the engine is busy with, so that those that follow wait. As it was alone, no process keeps it."""

    async def answers() -> list[object]:
        return list(await service.run(photo()).answers())

    task = asyncio.create_task(answers())
    await until(lambda: service.engine.batches == [1])
    return task


def test_answers_come_in_the_order_of_the_images() -> None:
    shades = [10, 200, 90, 50, 130, 240]

    async def ask(service: Service) -> None:
        service.engine.gate.set()
        run = service.run(*(np.full((300, 300, 3), shade, np.uint8) for shade in shades))
        answers = await run.answers()
        assert [answer.data[0] for answer, _ in answers] == shades
        assert run.fully_launched
        assert all(spent > 0 for _, timing in answers for spent in timing.stages.values())
        assert service.kept() == 0

    in_service(ask)


def test_an_image_that_is_refused_takes_the_others_of_its_request_back() -> None:
    async def ask(service: Service) -> None:
        busy = await occupied(service)
        run = service.run(photo(seed=1), photo(seed=2), GIF)
        with pytest.raises(UnsupportedMedia):
            await run.answers()
        assert not run.fully_launched
        assert service.batcher.waiting() == 0
        await until(lambda: service.kept() == 0)
        service.engine.gate.set()
        assert len(await busy) == 1
        assert service.engine.batches == [1]

    in_service(ask)


@pytest.mark.parametrize("images", [1, 3])
def test_a_request_that_is_cancelled_is_not_computed(images: int) -> None:
    async def ask(service: Service) -> None:
        busy = await occupied(service)
        run = service.run(*(photo(seed=index) for index in range(images)))
        task = asyncio.create_task(run.answers())
        await until(lambda: service.batcher.waiting() == service.kept() == images)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not run.fully_launched
        assert service.batcher.waiting() == 0
        await until(lambda: service.kept() == 0)
        service.engine.gate.set()
        assert len(await busy) == 1
        assert service.engine.batches == [1]

    in_service(ask)
