"""What one client does to another: `python -m benchmarks.fairness [KIND ...]`.

Starts a server with the bundled model and asks it, one request after the other, from one address; meanwhile another
address opens 64 or 300 connections that ask without a pause, or 8 that send pictures of 25 megapixels, or 2,000 that
send nothing, half a header or half a body and one that sends a header without end. Prints the honest client's
latencies, before and with each, and how many of its requests were not answered with 200. Exit code 1 where any was
not, or its p99 is more than three times what it was.
"""

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Final
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.connection import Connection
from benchmarks.sample import SAMPLE_PICTURE, picture_file
from benchmarks.server_process import running_server

HONEST, OTHER = "127.0.0.1", "127.0.0.2"
REQUESTS: Final = 200
_MOST_TIMES: Final = 3.0
_SETTLE_SECONDS: Final = 2.0
_TASK: Final = "lowlight_enhance"
_HEAD: Final = f"POST /infer?task={_TASK} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"


def request(picture: bytes) -> bytes:
    """One that asks for a picture's answer."""
    return f"{_HEAD}Content-Length: {len(picture)}\r\n\r\n".encode() + picture


def blank_png(side: int) -> bytes:
    """A black picture of 8-bit colours, a thousandth of its pixels' bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


async def ask_without_pause(url: str, connections: int, what: bytes) -> None:
    async def one() -> None:
        connection = await Connection.to(url, OTHER)
        while True:
            await connection.ask(what)
            if not connection.open:
                connection = await Connection.to(url, OTHER)

    await asyncio.gather(*(one() for _ in range(connections)))


async def hold_open(url: str, connections: int) -> None:
    """Nothing, half a header, a body that trickles; and one header without end."""
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def one(number: int) -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port, local_addr=(OTHER, 0))
                kinds = (b"", _HEAD.encode(), f"{_HEAD}Content-Length: 100000\r\n\r\n".encode())
                writer.write(kinds[number % 3])
                while not reader.at_eof():
                    await asyncio.sleep(1)
                    if number % 3 == 2:
                        writer.write(b"x")
            await asyncio.sleep(1)

    async def endless() -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, port, local_addr=(OTHER, 0))
                writer.write(_HEAD.encode())
                while True:
                    writer.write(b"a:b\r\n" * 1000)
                    await writer.drain()
            await asyncio.sleep(0.01)

    await asyncio.gather(endless(), *(one(number) for number in range(connections)))


ATTACKS: Final = {
    "64 connections": lambda url: ask_without_pause(url, 64, request(picture_file(SAMPLE_PICTURE))),
    "300 connections": lambda url: ask_without_pause(url, 300, request(picture_file(SAMPLE_PICTURE))),
    "8 with 25 megapixels": lambda url: ask_without_pause(url, 8, request(blank_png(5000))),
    "2000 idle, endless header": lambda url: hold_open(url, 2000),
}


@contextmanager
def attacked(url: str, kind: str) -> Iterator[None]:
    """By another process, for as long as the block lasts."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.fairness", "attack", url, kind]) as process:
        try:
            yield
        finally:
            process.kill()


async def honest(url: str, count: int) -> tuple[list[float], int]:
    """Milliseconds of each of so many requests, and how many were not answered with 200."""
    connection, what, times, refused = await Connection.to(url, HONEST), request(picture_file(SAMPLE_PICTURE)), [], 0
    for _ in range(count):
        began = perf_counter()
        status, ended = await connection.ask(what)
        times.append(1e3 * (ended - began))
        refused += status != 200
        if not connection.open:
            connection = await Connection.to(url, HONEST)
    await connection.close()
    return times, refused


async def measured(url: str, kind: str) -> tuple[float, int]:
    """p99, refused; printed."""
    await asyncio.sleep(_SETTLE_SECONDS)
    times, refused = await honest(url, REQUESTS)
    p50, p99 = np.percentile(times, (50, 99))
    print(f"{kind:28} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  not answered {refused}", flush=True)
    return p99, refused


def main() -> int:
    """All kinds, or those that are named."""
    if sys.argv[1:2] == ["attack"]:
        asyncio.run(ATTACKS[sys.argv[3]](sys.argv[2]))
        return 0
    holds = True
    with running_server(None, None, None) as url:
        asyncio.run(honest(url, REQUESTS // 4))
        alone, _ = asyncio.run(measured(url, "alone"))
        for kind in sys.argv[1:] or ATTACKS:
            with attacked(url, kind):
                p99, refused = asyncio.run(measured(url, kind))
            holds &= p99 <= _MOST_TIMES * alone and not refused
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
