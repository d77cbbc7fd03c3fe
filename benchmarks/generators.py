"""Closed and open loops of requests.

A closed loop asks again as soon as it is answered: it finds the most a server does. An open loop sends when a
clock says so, whether or not the server keeps up, as the world does: it finds what users wait.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from time import perf_counter
from typing import Any, Final, Literal, TypeVar

from benchmarks.connection import Connection
from benchmarks.traffic import Mix, Sent

Arrivals = Literal["poisson", "fixed"]
T = TypeVar("T")
_MOST_CONNECTIONS: Final = 4096


def run(main: Coroutine[Any, Any, T]) -> T:
    """On uvloop where it is installed: the client then takes half the processor time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def closed_loop(url: str, mix: Mix, clients: int, seconds: float) -> list[Sent]:
    """`clients` connections that ask without a pause. Raises OSError where none can be opened."""
    connections = await asyncio.gather(*(Connection.to(url) for _ in range(clients)))
    stop_at = perf_counter() + seconds
    sent: list[Sent] = []

    async def client(connection: Connection) -> None:
        while connection.open and (now := perf_counter()) < stop_at:
            status, ended = await connection.ask(mix.next())
            sent.append(Sent(now, now, ended, status))

    await asyncio.gather(*map(client, connections))
    await asyncio.gather(*(connection.close() for connection in connections))
    return sent


def schedule(rate: float, seconds: float, arrivals: Arrivals, seed: int = 0) -> Iterator[float]:
    """When to send, in seconds from the start: at once, and then `rate` a second on average."""
    draw = random.Random(seed)
    when = 0.0
    while when < seconds:
        yield when
        when += draw.expovariate(rate) if arrivals == "poisson" else 1 / rate


async def open_loop(
    url: str, mix: Mix, rate: float, seconds: float, arrivals: Arrivals = "poisson", seed: int = 0
) -> list[Sent]:
    """Requests at `rate` a second, each on a free connection, or a new one where all are busy.

    Raises OSError where none can be opened.
    """
    idle = list(await asyncio.gather(*(Connection.to(url) for _ in range(8))))
    room = asyncio.Semaphore(_MOST_CONNECTIONS)
    sent: list[Sent] = []

    async def one(due: float) -> None:
        async with room:
            while idle and not idle[-1].open:
                idle.pop()
            try:
                connection = idle.pop() if idle else await Connection.to(url)
            except OSError:
                now = perf_counter()
                sent.append(Sent(due, now, now, 0))
                return
            now = perf_counter()
            status, ended = await connection.ask(mix.next())
            sent.append(Sent(due, now, ended, status))
            idle.append(connection)

    begun = perf_counter()
    async with asyncio.TaskGroup() as requests:
        for when in schedule(rate, seconds, arrivals, seed):
            if (wait := begun + when - perf_counter()) > 0:
                await asyncio.sleep(wait)
            requests.create_task(one(begun + when))
    await asyncio.gather(*(connection.close() for connection in idle))
    return sent
