"""Triton through PyTriton, with dynamic batching and two instances, so that one decodes while the other waits.

https://triton-inference-server.github.io/pytriton/latest/binding_models/ (several functions are several instances)
"""

import sys
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.codec import decode, encode
from benchmarks.peers.model import Model, load_model


class Instance:
    def __init__(self, model: Model) -> None:
        self.model = model

    @batch
    def __call__(self, image: Any, task: Any) -> dict[str, Any]:
        pictures = [decode(file) for file in image[:, 0]]
        tasks = [name.decode() for name in task[:, 0]]
        computed = self.model.answers(pictures, tasks)
        files = [encode(self.model.finished(*each)) for each in zip(computed, pictures, tasks, strict=True)]
        return {"answer": np.array(files, object)[:, None]}


if __name__ == "__main__":
    port = int(sys.argv[1])
    config = TritonConfig(http_port=port, allow_grpc=False, allow_metrics=False, exit_on_error=True)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="infer",
            infer_func=[Instance(load_model()), Instance(load_model())],
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,)), Tensor(name="task", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=ModelConfig(max_batch_size=32, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
