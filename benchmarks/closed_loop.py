"""A closed-loop HTTP client: each connection asks again as soon as it is answered.

It speaks to the socket directly and prepares the request once, so that on a small machine the measured
thing is the server and not the client.
"""

import asyncio
import socket
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import numpy as np

_END_OF_HEADERS: Final = b"\r\n\r\n"


@dataclass(slots=True)
class Tally:
    """What came back: seconds of each good answer, and how many were not good."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the table; times in milliseconds."""

    concurrency: int
    requests_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    requests: int
    errors: int


def raw_request(url: str, task: str, image: bytes) -> bytes:
    """The raw form of `POST /infer` as it goes over the wire."""
    host = urlsplit(url).netloc
    lines = [
        f"POST /infer?task={task} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: image/jpeg",
        f"Content-Length: {len(image)}",
    ]
    return "\r\n".join(lines).encode() + _END_OF_HEADERS + image


def measure(url: str, requests: list[bytes], concurrency: int, seconds: float) -> Load:
    """Ask from `concurrency` connections for `seconds`; connection i starts with request i and goes round."""
    tally, elapsed = asyncio.run(_run(url, requests, concurrency, seconds))
    times = np.array(tally.latencies or [float("nan")]) * 1e3
    p50, p90, p99 = (float(value) for value in np.percentile(times, (50, 90, 99)))
    done = len(tally.latencies)
    return Load(concurrency, done / elapsed, p50, p90, p99, done, tally.errors)


async def _run(url: str, requests: list[bytes], concurrency: int, seconds: float) -> tuple[Tally, float]:
    tally = Tally()
    started = time.perf_counter()
    stop_at = started + seconds
    clients = [_client(url, requests, first, stop_at, tally) for first in range(concurrency)]
    await asyncio.gather(*clients)
    return tally, time.perf_counter() - started


async def _client(url: str, requests: list[bytes], turn: int, stop_at: float, tally: Tally) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while (asked := time.perf_counter()) < stop_at:
            writer.write(requests[turn % len(requests)])
            turn += 1
            status = await _status_of_reply(reader)
            if status == 200:
                tally.latencies.append(time.perf_counter() - asked)
            else:
                tally.errors += 1
    except (ConnectionError, asyncio.IncompleteReadError):
        tally.errors += 1
    finally:
        writer.close()


async def _status_of_reply(reader: asyncio.StreamReader) -> int:
    """Read one whole reply."""
    head = (await reader.readuntil(_END_OF_HEADERS)).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or 0))
    return int(head.split(b" ", 2)[1])
