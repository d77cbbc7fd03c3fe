"""Mosec with three stages, so that decoding, computing and encoding overlap; msgpack in, the PNG out.

https://mosecorg.github.io/mosec/examples/ (multi-stage, dynamic batching, msgpack mixin). Run with `--port`.
"""

import os
from typing import Any

from mosec import Server, Worker
from mosec.mixin import MsgpackMixin

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import load_model


class Decode(MsgpackMixin, Worker):
    def forward(self, data: dict[str, Any]) -> tuple[Any, str]:
        return decode(data["image"]), data["task"]


class Compute(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.model = load_model()

    def forward(self, data: list[tuple[Any, str]]) -> list[tuple[Any, Any, str]]:
        pictures, tasks = zip(*data, strict=True)
        return list(zip(self.model.answers(pictures, tasks), pictures, tasks, strict=True))


class Encode(Worker):
    resp_mime_type = "image/png"

    def __init__(self) -> None:
        super().__init__()
        self.model = load_model(computes=False)

    def forward(self, data: tuple[Any, Any, str]) -> bytes:
        return encode(self.model.finished(*data))

    def serialize(self, data: bytes) -> bytes:
        return data


if __name__ == "__main__":
    os.environ["MOSEC_TIMEOUT"] = "60000"  # ms; the default of 3 s is too short for the real model on a processor
    server = Server()
    server.append_worker(Decode, num=2)
    server.append_worker(Compute, num=1, max_batch_size=32, max_wait_time=5)
    server.append_worker(Encode, num=2)
    server.run()
