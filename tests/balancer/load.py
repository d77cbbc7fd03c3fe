"""A client with a steady rate of requests; prints a line for each: when, how long, what came.

    python -m tests.balancer.load URL TASK PICTURE RATE

Ends when its standard input does.
"""

import asyncio
import io
import json
import sys
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

PATIENCE_SECONDS = 40.0


def signature(answer: bytes) -> list[int]:
    """Means of a picture's 4 x 4 parts: alike for two answers that differ by rounding, and for no others here."""
    pixels = np.asarray(Image.open(io.BytesIO(answer)).convert("RGB"), np.float32)
    return [round(float(part.mean())) for row in np.array_split(pixels, 4) for part in np.array_split(row, 4, axis=1)]


async def ask(client: httpx.AsyncClient, url: str, picture: bytes) -> None:
    at, started = time.time(), time.monotonic()
    try:
        reply = await client.post(url, content=picture, headers={"Content-Type": "image/jpeg"})
        status, artifact = reply.status_code, reply.headers.get("x-vtv-artifact", "")
        answer = signature(reply.content) if status == 200 else reply.text[:200]
    except httpx.HTTPError as error:
        status, artifact, answer = 0, "", repr(error)
    entry = {"at": at, "seconds": time.monotonic() - started, "status": status, "artifact": artifact, "answer": answer}
    print(json.dumps(entry), flush=True)


async def main(url: str, task: str, picture: bytes, rate: float) -> None:
    limits = httpx.Limits(max_connections=256, max_keepalive_connections=256)
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=limits, trust_env=False) as client:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not stop.done():
            asking = asyncio.create_task(ask(client, f"{url}/infer?task={task}", picture))
            under_way.add(asking)
            asking.add_done_callback(under_way.discard)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes(), float(sys.argv[4])))
