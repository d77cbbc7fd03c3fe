"""LitServe with dynamic batching and one worker to the accelerator, its default, or as many as are asked for:
of two one decodes while the other waits.

https://lightning.ai/docs/litserve/features/batching, .../features/multiple-workers (workers_per_device)
"""

import sys
from typing import Any

import litserve as ls
from fastapi import Request, Response

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import load_model

Row = tuple[Any, Any, str]


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load_model()

    def decode_request(self, request: Request) -> tuple[Any, str]:
        return decode(request["image"].file.read()), request["task"]

    def batch(self, inputs: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
        return list(inputs)

    def predict(self, inputs: list[tuple[Any, str]]) -> list[Row]:
        pictures, tasks = zip(*inputs, strict=True)
        return list(zip(self.model.answers(pictures, tasks), pictures, tasks, strict=True))

    def unbatch(self, output: list[Row]) -> list[Row]:
        return output

    def encode_response(self, output: Row) -> Response:
        return Response(encode(self.model.finished(*output)), media_type="image/png")


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.005, api_path="/infer")
    port, workers = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    server = ls.LitServer(api, accelerator="cpu", devices=1, workers_per_device=workers)
    server.run(port=port, generate_client_file=False, log_level="warning", access_log=False)
