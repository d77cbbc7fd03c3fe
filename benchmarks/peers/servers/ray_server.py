"""Ray Serve with `@serve.batch`; decoding and encoding in threads, as the replica is one event loop.

https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html. `max_ongoing_requests` has to exceed the
batch size by far: its default of 5 would never let a batch form.
"""

import asyncio
import sys
import threading
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import load_model


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Deployment:
    def __init__(self) -> None:
        self.model = load_model()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def answers(self, rows: list[tuple[Any, str]]) -> list[Any]:
        pictures, tasks = zip(*rows, strict=True)
        return await asyncio.to_thread(self.model.answers, pictures, tasks)

    async def __call__(self, request: Request) -> Response:
        task = request.query_params["task"]
        picture = await asyncio.to_thread(decode, await request.body())
        answer = await self.answers((picture, task))
        file = await asyncio.to_thread(lambda: encode(self.model.finished(answer, picture, task)))
        return Response(file, media_type="image/png")


if __name__ == "__main__":
    serve.start(http_options={"port": int(sys.argv[1])}, logging_config={"enable_access_log": False})
    serve.run(Deployment.bind(), route_prefix="/infer")
    threading.Event().wait()
