"""Many images, a bounded number of them at once, answered in the order in which they are done."""

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from itertools import islice
from threading import Event
from typing import TypeVar

from vtv_client._requests import File
from vtv_client.answer import Answer
from vtv_client.errors import VTVError

Source = TypeVar("Source", bound=File)
Outcome = Answer | VTVError | OSError
"""An image's answer, or what went wrong with it: OSError where its file could not be read."""
Pause = Callable[[float], None]


def in_threads(
    ask: Callable[[Source, Pause], Answer], sources: Iterable[Source], concurrency: int
) -> Generator[tuple[Source, Outcome], None, None]:
    """Answers by `ask` in threads. When the iterator is closed, those that wait to try again give up."""
    _check(concurrency)
    left = iter(sources)
    stopped = Event()
    running: dict[concurrent.futures.Future[Answer], Source] = {}

    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise concurrent.futures.CancelledError

    pool = concurrent.futures.ThreadPoolExecutor(concurrency, "vtv-client")
    try:
        while True:
            for source in islice(left, concurrency - len(running)):
                running[pool.submit(ask, source, pause)] = source
            if not running:
                return
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            future = done.pop()
            yield running.pop(future), _outcome(future)
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


async def in_tasks(
    ask: Callable[[Source], Awaitable[Answer]], sources: Iterable[Source], concurrency: int
) -> AsyncGenerator[tuple[Source, Outcome], None]:
    """Answers by `ask` in asyncio tasks, which are cancelled when the iterator is closed."""
    _check(concurrency)
    left = iter(sources)
    running: dict[asyncio.Future[Answer], Source] = {}
    try:
        while True:
            for source in islice(left, concurrency - len(running)):
                running[asyncio.ensure_future(ask(source))] = source
            if not running:
                return
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            future = done.pop()
            yield running.pop(future), _outcome(future)
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _check(concurrency: int) -> None:
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")


def _outcome(future: "concurrent.futures.Future[Answer] | asyncio.Future[Answer]") -> Outcome:
    error = future.exception()
    return error if isinstance(error, (VTVError, OSError)) else future.result()
