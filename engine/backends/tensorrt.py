"""TensorRT or TensorRT-RTX of the ONNX graph: what runs where torch-tensorrt is missing or belongs to another torch.

It needs only TensorRT itself, of any release, and shares the graph that OpenVINO compiles.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from engine.backends.onnx_graph import load_onnx
from engine.backends.protocol import BackendUnavailable
from engine.backends.tensorrt_build import build_engine
from engine.backends.tensorrt_runtime import FILE, TensorRtNetwork, TensorRtRuntime, load_tensorrt
from engine.cache import EngineCache, Key
from engine.network import Network

OPSET: Final = 21
"""The first that has group normalisation as an operator; before, each one is five."""


class TensorRt:
    """float16 by strong typing: every operator computes in the type its ONNX node states."""

    name = "tensorrt"
    dtype = torch.float16
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise BackendUnavailable(f"tensorrt runs on a GPU, not on {device}")
        self._trt, flavour = load_tensorrt()
        self.version = f"{flavour} {self._trt.__version__}"
        self._runtime = TensorRtRuntime(self._trt, device)

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> TensorRtNetwork:
        """Minutes where the engine is not cached."""

        def build(folder: Path) -> None:
            dtype = getattr(torch, key.dtype)
            blob = load_onnx(network, dtype, OPSET, key, cache, self._build(key))
            (folder / FILE).write_bytes(blob)

        engine = cache.load(key, build, self._runtime.read)
        return self._runtime.network(engine, network.inputs, buckets)

    def _build(self, key: Key) -> Callable[[Path], Any]:
        return lambda onnx: build_engine(self._trt, self._runtime.logger, onnx, key)
