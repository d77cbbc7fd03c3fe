"""OpenVINO on the CPU: one model per bucket, compiled for its shapes, reading the bank where it lies."""

from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor

from engine.backends.onnx_graph import load_onnx
from engine.backends.protocol import BackendUnavailable, Launch
from engine.cache import EngineCache, Key
from engine.device import host_threads
from engine.mapped_files import forget_pages
from engine.network import BATCH, Buffers, Network

_OPSET: Final = 18
"""In which group normalisation is written out: its parts take OpenVINO a third of the time of its operator."""


class OpenVino:
    """bfloat16 where the processor computes in it, else float32; weights are given in float32."""

    name = "openvino"
    lowers_itself = True

    def __init__(self, device: torch.device) -> None:
        if device.type != "cpu":
            raise BackendUnavailable(f"openvino runs on the CPU, not on {device}")
        try:
            import openvino
        except ImportError:
            raise BackendUnavailable("openvino is missing: pip install 'visual-task-vectors[openvino]'") from None
        self.core: Any = openvino.Core()
        self.version = f"openvino {openvino.__version__}"
        fast = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.dtype = torch.bfloat16 if fast else torch.float32

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> "OpenVinoNetwork":
        """Nothing yet: buckets are compiled as they are bound, in about a second each."""
        return OpenVinoNetwork(self.core, network, key, cache)


class OpenVinoNetwork:
    """A graph of which each bucket is a copy with fixed shapes."""

    def __init__(self, core: Any, network: Network, key: Key, cache: EngineCache) -> None:
        self.core, self.network, self.key, self.cache = core, network, key, cache
        self.options = {
            "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[key.dtype],
            "INFERENCE_NUM_THREADS": host_threads(),
        }

    @cached_property
    def graph(self) -> Any:
        """With every dynamic shape still open; read when the first bucket is bound."""
        return load_onnx(
            self.network, getattr(torch, self.key.dtype), _OPSET, self.key, self.cache, self.core.read_model
        )

    def bind(self, buffers: Buffers) -> Launch:
        threads = host_threads()
        parts = parts_of(buffers.bucket, threads * self.network.parts_per_thread)
        rows = buffers.bucket // parts
        batched = [spec.sizes[0] == BATCH for spec in self.network.specs(torch.float32)]
        inputs = list(zip(self.network.inputs, buffers.inputs, batched, strict=True))
        graph = self.graph.clone()
        graph.reshape({name: [rows, *t.shape[1:]] if of_rows else list(t.shape) for name, t, of_rows in inputs})
        # A picture alone is fastest with its threads bound to cores. Batches come where much is asked: there the
        # codec's processes need the same cores, and threads that may move go around them.
        streams = {"NUM_STREAMS": min(parts, threads), "ENABLE_CPU_PINNING": parts == 1}
        compiled = self.core.compile_model(graph, "CPU", self.options | streams)
        forget_pages(self.cache.root)  # it holds its weights in a form of its own now
        requests = [compiled.create_infer_request() for _ in range(parts)]
        for part, request in enumerate(requests):
            own = slice(part * rows, (part + 1) * rows)
            for name, tensor, of_rows in inputs:
                request.set_tensor(name, _shared(tensor[own] if of_rows else tensor))
            request.set_output_tensor(0, _shared(buffers.output[own]))

        def launch() -> None:
            if parts == 1:
                requests[0].infer()
                return
            for request in requests:
                request.start_async()
            for request in requests:
                request.wait()

        return launch


def parts_of(rows: int, most: int) -> int:
    """In how many a batch is computed, side by side: threads that share one wait for each other at every step."""
    return max(parts for parts in range(1, min(rows, most) + 1) if rows % parts == 0)


def _shared(tensor: Tensor) -> Any:
    """The same memory as OpenVINO sees it. NumPy has no bfloat16: its bits go by another name."""
    import openvino

    if tensor.dtype != torch.bfloat16:
        return openvino.Tensor(tensor.numpy(), shared_memory=True)
    return openvino.Tensor(tensor.view(torch.uint16).numpy(), list(tensor.shape), openvino.Type.bf16)
