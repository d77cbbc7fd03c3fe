"""BentoML with adaptive batching: a batchable service behind one that takes the upload, as several inputs need.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html (handle multiple parameters)
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType
from pydantic import BaseModel

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import load_model


class Row(BaseModel):
    image: bytes
    task: str


@bentoml.service(workers=1, traffic={"max_concurrency": 256, "timeout": 60})
class Computing:
    def __init__(self) -> None:
        self.model = load_model()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def answers(self, rows: list[Row]) -> list[bytes]:
        pictures, tasks = [decode(row.image) for row in rows], [row.task for row in rows]
        computed = self.model.answers(pictures, tasks)
        return [encode(self.model.finished(*each)) for each in zip(computed, pictures, tasks, strict=True)]


@bentoml.service(workers=1, traffic={"max_concurrency": 256, "timeout": 60})
class Uploads:
    computing: Any = bentoml.depends(Computing)

    @bentoml.api(route="/infer")
    async def infer(self, image: Path, task: str) -> Annotated[bytes, ContentType("image/png")]:
        row = Row.model_construct(image=image.read_bytes(), task=task)
        answers: list[bytes] = await self.computing.to_async.answers([row])
        return answers[0]


if __name__ == "__main__":
    target = "benchmarks.peers.servers.bentoml_server:Uploads"
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", target, "--port", sys.argv[1]])
