"""The codec's processes: real ones, asked by an event loop of this process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.pictures.limits import PictureLimits
from engine.confidence import Confidence
from engine.geometry import Geometry, Pixels
from engine.task_vector import AnswerSettings
from service.codec.codec import Codec, Decoded, EncodedAnswer
from service.codec.spec import ImageSpec
from service.codec.workers.fork_server import ForkServer
from service.codec.workers.handle import Handle
from service.codec.workers.pool import CodecPool
from service.codec.workers.process import CodecJob
from service.errors import InvalidImage, ServiceError, UnsupportedMedia
from tests.support import PATIENCE, photo

TRUST = Confidence("contrast", ((0.1, 0.2), (0.9, 0.8)))
GEOMETRY, LIMIT = Geometry(), PictureLimits(5_000_000)
PAINTED = np.random.default_rng(0).integers(0, 256, (GEOMETRY.cell, GEOMETRY.cell, 3), np.uint8)


def spec(source: bytes | Pixels, size: Any = "native", example: tuple[bytes, bytes] | None = None) -> ImageSpec:
    return ImageSpec(source, example, None, size, "png", True, AnswerSettings(refine="guided", confidence=TRUST))


def tensor(height: int, width: int) -> ImageSpec:
    """Pixels in and out, unrefined: hardly any work."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return ImageSpec(pixels, None, None, "native", "png", False, AnswerSettings(refine="none"))


@asynccontextmanager
async def running(processes: int = 1, on_death: Callable[[], None] = lambda: None) -> AsyncIterator[CodecPool]:
    pool = CodecPool(processes, GEOMETRY, LIMIT, on_death)
    await pool.start()
    try:
        yield pool
    finally:
        pool.stop()


async def decoded(pool: CodecPool, what: ImageSpec, alone: bool = False) -> tuple[CodecJob, Decoded]:
    """Raises the ServiceError that it fails with."""
    job = CodecJob(what, alone)
    async with asyncio.timeout(PATIENCE):
        return job, await pool.decode(job)


async def encoded(pool: CodecPool, job: CodecJob, answer: Pixels) -> EncodedAnswer:
    """Raises the ServiceError that it fails with."""
    async with asyncio.timeout(PATIENCE):
        return await pool.encode(job, answer)


def children(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def codec_processes() -> tuple[list[int], list[int]]:
    """The fork servers of this process's pools, one but for a moment, and their children."""
    lines = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children(os.getpid())}
    fork_servers = [child for child, line in lines.items() if "service.codec.workers.fork_server" in line]
    return fork_servers, [child for fork_server in fork_servers for child in children(fork_server)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(scope="class")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="class")
def shared(loop: asyncio.Runner) -> Iterator[CodecPool]:
    """For tests that leave its processes as they were: to start a pool takes a second."""
    pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)
    loop.run(pool.start())
    yield pool
    loop.run(stopped(pool))


async def stopped(pool: CodecPool) -> None:
    pool.stop()


class TestUndisturbed:
    @pytest.mark.parametrize(
        "what",
        [
            spec(photo()),
            spec(photo(300, 200), "original"),
            spec(np.zeros((40, 60, 3), np.uint8)),
            spec(photo(), example=(photo(seed=1), photo(seed=2))),
            spec(photo(2100, 2000), "original"),  # painted large: read again at the end
            spec(np.zeros((600, 700, 3), np.uint8)),  # a large file
            tensor(112, 112),
            tensor(300, 300),
        ],
    )
    @pytest.mark.parametrize("alone", [False, True])
    def test_it_does_what_the_codec_does(
        self, what: ImageSpec, alone: bool, shared: CodecPool, loop: asyncio.Runner
    ) -> None:
        async def through_a_process() -> tuple[Decoded, EncodedAnswer]:
            job, ready = await decoded(shared, what, alone)
            return ready, await encoded(shared, job, PAINTED)

        ready, answer = loop.run(through_a_process())
        codec = Codec(GEOMETRY, LIMIT)
        expected = codec.decode(what)
        assert (ready.program, ready.large) == (expected.program, expected.large)
        assert np.array_equal(ready.pixels, expected.pixels)
        assert answer == codec.encode(PAINTED, what, expected.guide)

    @pytest.mark.parametrize("when", ["as it is decoded", "as it is decoded and told", "as it waits for the engine"])
    def test_a_picture_that_is_given_up_is_kept_nowhere(
        self, when: str, shared: CodecPool, loop: asyncio.Runner
    ) -> None:
        async def give_up() -> list[set[int]]:
            job = CodecJob(spec(photo()))
            task = asyncio.create_task(shared.decode(job))
            await asyncio.sleep(0)
            if when == "as it is decoded":
                task.cancel()
            await until(lambda: job.process is not None and job.process.load() == 0)
            if when == "as it waits for the engine":
                await task
            task.cancel()
            shared.forget(job)
            await decoded(shared, spec(photo()), alone=True)
            return [process._kept for process in shared._processes]

        assert loop.run(give_up()) == [set()]


def test_errors_come_back_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        async with running() as pool:
            with pytest.raises(UnsupportedMedia):
                await decoded(pool, spec(b"GIF89a"))
            with pytest.raises(InvalidImage, match="more pixels"):
                await decoded(pool, spec(np.zeros((2500, 2500, 3), np.uint8)))
            job, _ = await decoded(pool, spec(photo()))
            with pytest.raises(ServiceError) as unforeseen:
                await encoded(pool, job, np.zeros((0, 0, 3), np.uint8))
            assert unforeseen.type is ServiceError  # and no traceback for the client

    asyncio.run(refused())
    assert "a codec step failed" in caplog.text
    assert "Traceback" in caplog.text


def test_few_pixels_need_no_process(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does one that fails there hold up another."""

    async def without_any() -> None:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)  # not started
        job, _ = await decoded(pool, tensor(112, 112))
        with pytest.raises(ServiceError):
            await encoded(pool, job, np.zeros((0, 0, 3), np.uint8))
        assert (await encoded(pool, job, PAINTED)).width == GEOMETRY.tile
        pool.stop()

    asyncio.run(without_any())
    assert "a codec step failed" in caplog.text


@pytest.mark.parametrize(
    "refine", ["guided", *(pytest.param(name, marks=pytest.mark.slow) for name in ("grabcut", "luma", "none"))]
)
def test_for_who_is_alone_no_second_process_is_woken(refine: Any) -> None:
    """An answer of the engine's size is painted where it is: what it needs came with the picture."""
    what = spec(photo())._replace(settings=AnswerSettings(refine=refine))

    async def without_the_process() -> EncodedAnswer:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)
        await pool.start()
        job, _ = await decoded(pool, what, alone=True)
        pool.stop()
        return await encoded(pool, job, PAINTED)

    assert asyncio.run(without_the_process()) == undisturbed(what)


def test_many_at_once_each_get_their_own() -> None:
    pictures = [np.full((30, 30, 3), shade, np.uint8) for shade in range(0, 250, 5)]

    async def all_of_them() -> list[int]:
        async with running(2) as pool:
            ready = await asyncio.gather(*(decoded(pool, spec(picture)) for picture in pictures))
            return [int(one.pixels[60, 60, 0]) for _, one in ready]

    assert asyncio.run(all_of_them()) == [int(picture[0, 0, 0]) for picture in pictures]


def test_what_is_given_up_is_not_heard_of() -> None:
    async def give_up_half() -> list[int]:
        heard: list[int] = []

        async def hear(pool: CodecPool, index: int) -> None:
            await decoded(pool, spec(photo(seed=index)))
            heard.append(index)

        async with running() as pool:
            tasks = [asyncio.create_task(hear(pool, index)) for index in range(40)]
            await asyncio.sleep(0)  # all are asked for: some of a process, some wait
            for task in tasks[1::2]:
                task.cancel()
            await until(lambda: len(heard) == 20)
            await decoded(pool, spec(photo()))
        return heard

    assert sorted(asyncio.run(give_up_half())) == list(range(0, 40, 2))


@pytest.mark.slow
def test_processes_that_die_are_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async def killed(with_the_fork_server: bool, pool: CodecPool) -> None:
        job, _ = await decoded(pool, spec(photo()))
        fork_servers, processes = codec_processes()
        assert len(processes) == 3
        for process in (fork_servers if with_the_fork_server else []) + processes:
            os.kill(process, signal.SIGKILL)
        await until(lambda: len(set(codec_processes()[1]) - set(processes)) == 3)
        assert (codec_processes()[0] == fork_servers) is not with_the_fork_server
        assert await encoded(pool, job, PAINTED) == undisturbed(spec(photo()))

    deaths: list[None] = []

    async def die_twice() -> None:
        async with running(2, lambda: deaths.append(None)) as pool:
            await killed(False, pool)
            await killed(True, pool)

    asyncio.run(die_twice())
    assert len(deaths) == 6
    assert "a codec process died" in caplog.text


@pytest.mark.slow
def test_processes_that_are_stopped_are_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """With the fork server: the next one is forked by another."""

    async def stop_all() -> list[EncodedAnswer]:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None, picture_seconds=1.0)
        await pool.start()
        jobs = [(await decoded(pool, what))[0] for what in pictures]
        fork_servers, processes = codec_processes()
        for process in (*fork_servers, *processes):
            os.kill(process, signal.SIGSTOP)
        try:
            return await asyncio.gather(*(encoded(pool, job, PAINTED) for job in jobs))
        finally:
            await stopped(pool)
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    pictures = [spec(photo(seed=seed)) for seed in range(4)]
    assert asyncio.run(stop_all()) == [undisturbed(what) for what in pictures]
    assert "said nothing for 1 s" in caplog.text


def undisturbed(what: ImageSpec) -> EncodedAnswer:
    codec = Codec(GEOMETRY, LIMIT)
    return codec.encode(PAINTED, what, codec.decode(what).guide)


@pytest.mark.parametrize(
    "what", [spec(photo()), spec(photo(300, 200), "original"), spec(photo(2100, 2000), "original")]
)
@pytest.mark.parametrize("noticed", [pytest.param(True, marks=pytest.mark.slow), False])
def test_an_answer_survives_the_process_that_was_to_encode_it(what: ImageSpec, noticed: bool) -> None:
    """Another reads the picture again; whether or not the death was noticed before the answer came."""

    async def killed() -> EncodedAnswer:
        async with running() as pool:
            job, _ = await decoded(pool, what)
            processes = codec_processes()[1]
            for process in processes:
                os.kill(process, signal.SIGKILL if noticed else signal.SIGSTOP)
            if noticed:
                await until(lambda: not set(codec_processes()[1]) & set(processes))
                return await encoded(pool, job, PAINTED)
            answer = asyncio.create_task(encoded(pool, job, PAINTED))
            await asyncio.sleep(0)  # it is sent, and nobody reads it
            for process in processes:
                os.kill(process, signal.SIGKILL)
            return await answer

    assert asyncio.run(killed()) == undisturbed(what)


@pytest.mark.slow
def test_a_picture_that_kills_every_process_is_given_up() -> None:
    async def killed_again() -> None:
        async with running() as pool:
            job, _ = await decoded(pool, spec(photo()))
            job.tries += 1  # it was sent to another before
            processes = codec_processes()[1]
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            answer = asyncio.create_task(encoded(pool, job, PAINTED))
            await asyncio.sleep(0)
            for process in processes:
                os.kill(process, signal.SIGKILL)
            with pytest.raises(ServiceError):
                await answer

    asyncio.run(killed_again())


def test_a_process_that_cannot_be_forked_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    def refuse(fork_server: ForkServer, channel: socket.socket, niceness: int) -> None:
        raise BrokenPipeError

    def pair() -> tuple[socket.socket, socket.socket]:
        opened.extend(ends := real())
        return ends

    real = socket.socketpair
    monkeypatch.setattr(ForkServer, "fork", refuse)

    async def start() -> None:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)
        monkeypatch.setattr(socket, "socketpair", pair)
        with pytest.raises(BrokenPipeError):
            await pool.start()
        monkeypatch.undo()

    asyncio.run(start())
    assert opened
    assert all(end.fileno() == -1 for end in opened)


def test_a_number_that_is_used_again_is_not_killed() -> None:
    """The handle of a process that ended, and its number given to another, as it seems to who knows numbers alone."""
    ended, other = (subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2))
    handle = Handle(ended.pid)
    ended.communicate(b"\n")
    handle._number = other.pid
    handle.kill()
    handle.close()
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(0.2)
    own = Handle(other.pid)
    own.kill()
    own.close()
    assert other.wait(PATIENCE) == -signal.SIGKILL
    other.communicate()


@pytest.mark.slow
def test_none_outlives_the_pool() -> None:
    async def start_and_stop() -> list[int]:
        async with running(2):
            fork_servers, processes = codec_processes()
            return fork_servers + processes

    processes = asyncio.run(start_and_stop())
    asyncio.run(until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes)))
