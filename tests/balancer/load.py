"""A client with a steady rate of requests; prints a line for each: when, how long, what came.

    python -m tests.balancer.load URL TASK PICTURE RATE

Ends when its standard input does.
"""

import asyncio
import io
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from benchmarks.connection import LOST, Connection
from benchmarks.traffic import raw_request

PATIENCE_SECONDS = 40.0
STILL_SECONDS = 1.0
"""Who sends so late was not let to: the whole machine stood still, or was taken by others."""


def signature(answer: bytes) -> list[int]:
    """Means of a picture's 4 x 4 parts: alike for two answers that differ by rounding, and for no others here."""
    pixels = np.asarray(Image.open(io.BytesIO(answer)).convert("RGB"), np.float32)
    return [round(float(part.mean())) for row in np.array_split(pixels, 4) for part in np.array_split(row, 4, axis=1)]


class Client:
    """As many connections as there are requests under way at once, each used again."""

    def __init__(self, url: str, task: str, picture: bytes) -> None:
        self._url, self._request = url, raw_request(url, f"/infer?task={task}", picture)
        self._idle: list[Connection] = []

    async def ask(self) -> None:
        """One request, and its line."""
        at, started = time.time(), time.monotonic()
        connection = await self._connection()
        try:
            status, _ = await asyncio.wait_for(connection.ask(self._request), PATIENCE_SECONDS)
        except TimeoutError:
            status = LOST
        seconds = time.monotonic() - started
        head, body = (connection.head, connection.body) if status != LOST else (b"", b"")
        answer = signature(body) if status == 200 else body[:200].decode()
        found = re.search(rb"x-vtv-artifact: (\w+)", head, re.IGNORECASE)
        artifact = found[1].decode() if found else ""
        print(json.dumps({"at": at, "seconds": seconds, "status": status, "artifact": artifact, "answer": answer}))
        self._idle.append(connection)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        return await Connection.to(self._url)


class Load:
    """This module as a process, from when it is entered until it is left; then its lines are in `found`."""

    def __init__(self, url: str, task: str, picture: Path, rate: float) -> None:
        self._command = [sys.executable, "-m", __spec__.name, url, task, str(picture), str(rate)]
        self.found: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self.found.extend(json.loads(line) for line in lines)


async def main(url: str, task: str, picture: bytes, rate: float) -> None:
    client, under_way = Client(url, task, picture), set[asyncio.Task[None]]()
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    due = time.monotonic()
    while not stop.done():
        asking = asyncio.create_task(client.ask())
        under_way.add(asking)
        asking.add_done_callback(under_way.discard)
        due += 1 / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if (late := time.monotonic() - due) > STILL_SECONDS:
            print(json.dumps({"at": time.time() - late, "late": late}))  # not the servers' doing
            due += late
    await asyncio.gather(*under_way)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes(), float(sys.argv[4])))
