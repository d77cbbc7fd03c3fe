"""The codec's processes: real ones, asked by an event loop of this process."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from service.codec.codec import Answer, Codec, Order, Prepared
from service.codec.images import Pixels
from service.codec.workers.frames import Frame, Frames, framed
from service.codec.workers.pool import CodecPool
from service.codec.workers.process import Errand, ForkServer
from service.errors import InvalidImage, ServiceError, UnsupportedMedia
from tests.support import PATIENCE, photo

GEOMETRY, LIMIT = Geometry(), 5_000_000
PAINTED = np.random.default_rng(0).integers(0, 256, (GEOMETRY.cell, GEOMETRY.cell, 3), np.uint8)


def order(source: bytes | Pixels, size: Any = "native", example: tuple[bytes, bytes] | None = None) -> Order:
    return Order(source, example, size, "png", True, AnswerSettings(refine="guided"))


def tensor(height: int, width: int) -> Order:
    """Pixels in and out, unrefined: hardly any work."""
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Order(pixels, None, "native", "png", False, AnswerSettings(refine="none"))


@asynccontextmanager
async def running(processes: int = 1, on_death: Callable[[], None] = lambda: None) -> AsyncIterator[CodecPool]:
    pool = CodecPool(processes, GEOMETRY, LIMIT, on_death)
    await pool.start()
    try:
        yield pool
    finally:
        pool.stop()


async def prepared(pool: CodecPool, what: Order, alone: bool = False) -> tuple[Errand, Prepared]:
    """Raises the ServiceError that it fails with."""
    ready: asyncio.Future[Prepared] = asyncio.get_running_loop().create_future()
    errand = pool.prepare(what, ready.set_result, ready.set_exception, alone)
    return errand, await asyncio.wait_for(ready, PATIENCE)


async def finished(pool: CodecPool, errand: Errand, answer: Pixels) -> Answer:
    """Raises the ServiceError that it fails with."""
    done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    errand.failed = done.set_exception
    pool.finish(errand, answer, done.set_result)
    return await asyncio.wait_for(done, PATIENCE)


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


@pytest.mark.parametrize(
    "what",
    [
        order(photo()),
        order(photo(300, 200), "original"),
        order(np.zeros((40, 60, 3), np.uint8)),
        order(photo(), example=(photo(seed=1), photo(seed=2))),
        order(photo(2100, 2000), "original"),  # painted large: read again at the end
        order(np.zeros((600, 700, 3), np.uint8)),  # a large file
        tensor(112, 112),
        tensor(300, 300),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_it_does_what_the_codec_does(what: Order, alone: bool) -> None:
    async def through_a_process() -> tuple[Prepared, Answer]:
        async with running() as pool:
            errand, ready = await prepared(pool, what, alone)
            return ready, await finished(pool, errand, PAINTED)

    ready, answer = asyncio.run(through_a_process())
    codec = Codec(GEOMETRY, LIMIT)
    expected = codec.prepare(what)
    assert (ready.program, ready.large) == (expected.program, expected.large)
    assert np.array_equal(ready.pixels, expected.pixels)
    assert answer == codec.finish(PAINTED, what, expected.guide)


def test_errors_come_back_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        async with running() as pool:
            with pytest.raises(UnsupportedMedia):
                await prepared(pool, order(b"GIF89a"))
            with pytest.raises(InvalidImage, match="more pixels"):
                await prepared(pool, order(np.zeros((2500, 2500, 3), np.uint8)))
            errand, _ = await prepared(pool, order(photo()))
            with pytest.raises(ServiceError) as unforeseen:
                await finished(pool, errand, np.zeros((0, 0, 3), np.uint8))
            assert unforeseen.type is ServiceError  # and no traceback for the client

    asyncio.run(refused())
    assert "a codec step failed" in caplog.text
    assert "Traceback" in caplog.text


def test_few_pixels_need_no_process(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does one that fails there hold up another."""

    async def without_any() -> None:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)  # not started
        errand, _ = await prepared(pool, tensor(112, 112))
        with pytest.raises(ServiceError):
            await finished(pool, errand, np.zeros((0, 0, 3), np.uint8))
        assert (await finished(pool, errand, PAINTED)).width == GEOMETRY.tile
        pool.stop()

    asyncio.run(without_any())
    assert "a codec step failed" in caplog.text


@pytest.mark.parametrize("refine", ["guided", "hole", "none"])
def test_for_who_is_alone_no_second_process_is_woken(refine: Any) -> None:
    """An answer of the engine's size is painted where it is: what it needs came with the picture."""
    what = order(photo())._replace(settings=AnswerSettings(refine=refine))

    async def without_the_process() -> Answer:
        pool = CodecPool(1, GEOMETRY, LIMIT, lambda: None)
        await pool.start()
        errand, _ = await prepared(pool, what, alone=True)
        pool.stop()
        return await finished(pool, errand, PAINTED)

    assert asyncio.run(without_the_process()) == undisturbed(what)


def test_many_at_once_each_get_their_own() -> None:
    pictures = [np.full((30, 30, 3), shade, np.uint8) for shade in range(0, 250, 5)]

    async def all_of_them() -> list[int]:
        async with running(2) as pool:
            ready = await asyncio.gather(*(prepared(pool, order(picture)) for picture in pictures))
            return [int(one.pixels[60, 60, 0]) for _, one in ready]

    assert asyncio.run(all_of_them()) == [int(picture[0, 0, 0]) for picture in pictures]


def test_what_is_given_up_is_not_heard_of() -> None:
    async def give_up_half() -> list[int]:
        heard: list[int] = []
        async with running() as pool:
            for index in range(40):
                errand = pool.prepare(
                    order(photo(seed=index)), lambda _, index=index: heard.append(index), lambda _: None
                )
                if index % 2:
                    pool.give_up(errand)
            await until(lambda: len(heard) == 20)
            await prepared(pool, order(photo()))
        return heard

    assert sorted(asyncio.run(give_up_half())) == list(range(0, 40, 2))


def test_processes_that_die_are_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async def killed(with_the_fork_server: bool, pool: CodecPool) -> None:
        errand, _ = await prepared(pool, order(photo()))
        fork_servers, processes = codec_processes()
        assert len(processes) == 3
        for process in (fork_servers if with_the_fork_server else []) + processes:
            os.kill(process, signal.SIGKILL)
        await until(lambda: len(set(codec_processes()[1]) - set(processes)) == 3)
        assert (codec_processes()[0] == fork_servers) is not with_the_fork_server
        assert await finished(pool, errand, PAINTED) == undisturbed(order(photo()))

    deaths: list[None] = []

    async def die_twice() -> None:
        async with running(2, lambda: deaths.append(None)) as pool:
            await killed(False, pool)
            await killed(True, pool)

    asyncio.run(die_twice())
    assert len(deaths) == 6
    assert "a codec process died" in caplog.text


def undisturbed(what: Order) -> Answer:
    codec = Codec(GEOMETRY, LIMIT)
    return codec.finish(PAINTED, what, codec.prepare(what).guide)


@pytest.mark.parametrize(
    "what", [order(photo()), order(photo(300, 200), "original"), order(photo(2100, 2000), "original")]
)
@pytest.mark.parametrize("noticed", [True, False])
def test_an_answer_survives_the_process_that_was_to_encode_it(what: Order, noticed: bool) -> None:
    """Another reads the picture again; whether or not the death was noticed before the answer came."""

    async def killed() -> Answer:
        async with running() as pool:
            errand, _ = await prepared(pool, what)
            processes = codec_processes()[1]
            for process in processes:
                os.kill(process, signal.SIGKILL if noticed else signal.SIGSTOP)
            if noticed:
                await until(lambda: not set(codec_processes()[1]) & set(processes))
                return await finished(pool, errand, PAINTED)
            answer = asyncio.create_task(finished(pool, errand, PAINTED))
            await asyncio.sleep(0)  # it is sent, and nobody reads it
            for process in processes:
                os.kill(process, signal.SIGKILL)
            return await answer

    assert asyncio.run(killed()) == undisturbed(what)


def test_a_picture_that_kills_every_process_is_given_up() -> None:
    async def killed_again() -> None:
        async with running() as pool:
            errand, _ = await prepared(pool, order(photo()))
            errand.tries += 1  # it was sent to another before
            processes = codec_processes()[1]
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            answer = asyncio.create_task(finished(pool, errand, PAINTED))
            await asyncio.sleep(0)
            for process in processes:
                os.kill(process, signal.SIGKILL)
            with pytest.raises(ServiceError):
                await answer

    asyncio.run(killed_again())


def test_a_process_that_cannot_be_forked_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []

    def refuse(fork_server: ForkServer, channel: socket.socket) -> None:
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


def test_none_outlives_the_pool() -> None:
    async def start_and_stop() -> list[int]:
        async with running(2):
            fork_servers, processes = codec_processes()
            return fork_servers + processes

    processes = asyncio.run(start_and_stop())
    asyncio.run(until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes)))


def test_messages_arrive_whole_however_they_are_cut() -> None:
    messages = [Frame(3, size, b"about", [b"x" * size, b"y"][: size % 3]) for size in (0, 1, 7, 11, 100_001)]
    stream = b"".join(map(framed, messages))
    for size in (1 << 20, 4096, 9):
        frames = Frames()
        arrived = [message for at in range(0, len(stream), size) for message in frames.feed(stream[at : at + size])]
        assert arrived == messages
