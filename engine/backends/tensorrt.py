"""TensorRT or TensorRT-RTX: one engine for each program with the bank as inputs, one context for each bucket.

Contexts share one scratch memory: replays follow each other on one stream. What a launch enqueues is fixed by
then, so `cuda_graphs` captures it as it does any other backend's.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from engine.backends.onnx_graph import load_onnx
from engine.backends.protocol import BackendUnavailable, Launch
from engine.backends.tensorrt_build import build_engine, load_tensorrt
from engine.cache import EngineCache, Key
from engine.errors import EngineError
from engine.network import Buffers, Network

FILE: Final = "network.engine"


class TensorRt:
    """float16 by strong typing: every operator computes in the type its ONNX node states."""

    name = "tensorrt"
    dtype = torch.float16
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise BackendUnavailable(f"tensorrt runs on a GPU, not on {device}")
        self.trt, flavour = load_tensorrt()
        self.version = f"{flavour} {self.trt.__version__}"
        self.device = device
        self._logger = self.trt.Logger(self.trt.Logger.ERROR)
        self._runtime = self.trt.Runtime(self._logger)
        self._scratch = Scratch(device)

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> "TensorRtNetwork":
        """Minutes where the engine is not cached."""

        def build(folder: Path) -> None:
            dtype = getattr(torch, key.dtype)
            blob = load_onnx(network, dtype, key, cache, self._build(key))
            (folder / FILE).write_bytes(blob)

        engine = cache.load(key, build, self._load)
        return TensorRtNetwork(self.trt, engine, network.inputs, buckets, self._scratch)

    def _build(self, key: Key) -> Callable[[Path], Any]:
        return lambda onnx: build_engine(self.trt, self._logger, onnx, key)

    def _load(self, folder: Path) -> Any:
        engine = self._runtime.deserialize_cuda_engine((folder / FILE).read_bytes())
        if engine is None:
            raise EngineError("TensorRT refuses the engine; its log above says why")
        return engine


class Scratch:
    """The activations of whichever context runs. Grows only while contexts are made, before any is captured."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.memory = torch.empty(0, dtype=torch.uint8, device=device)

    def reserve(self, size: int) -> torch.Tensor:
        """At least `size` bytes. Memory given out before stays valid: its holders keep it."""
        if self.memory.numel() < size:
            self.memory = torch.empty(size, dtype=torch.uint8, device=self.device)
        return self.memory


class TensorRtNetwork:
    """An engine and its profiles, one for each bucket."""

    def __init__(
        self, trt: Any, engine: Any, inputs: tuple[str, ...], buckets: tuple[int, ...], scratch: Scratch
    ) -> None:
        self.trt, self.engine, self.inputs, self.buckets, self.scratch = trt, engine, inputs, buckets, scratch
        found = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.output = next(name for name in found if name not in inputs)
        if sorted(found) != sorted([*inputs, self.output]):
            raise EngineError(f"the engine has the inputs and outputs {found}, not {inputs}")

    def bind(self, buffers: Buffers) -> Launch:
        profile = self.buckets.index(buffers.bucket)
        context = self._context()
        size = self.engine.get_device_memory_size_for_profile_v2(profile)
        memory = self.scratch.reserve(size)
        context.set_device_memory(memory.data_ptr(), size)
        stream = torch.cuda.current_stream(self.scratch.device)
        context.set_optimization_profile_async(profile, stream.cuda_stream)
        for name, tensor in zip(self.inputs, buffers.inputs, strict=True):
            if not (context.set_input_shape(name, tuple(tensor.shape)) and self._address(context, name, tensor)):
                raise EngineError(f"TensorRT refuses {name} of shape {list(tensor.shape)}")
        self._address(context, self.output, buffers.output)
        stream.synchronize()
        return _Launch(context, buffers, memory)

    def _context(self) -> Any:
        by = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self.trt, "DynamicShapesKernelSpecializationStrategy"):
            return self.engine.create_execution_context(by)
        # RTX: kernels that are made while running could not be captured.
        config = self.engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(by)
        config.dynamic_shapes_kernel_specialization_strategy = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        return self.engine.create_execution_context(config)

    @staticmethod
    def _address(context: Any, name: str, tensor: torch.Tensor) -> bool:
        return bool(context.set_tensor_address(name, tensor.data_ptr()))


class _Launch:
    """Enqueues a context; keeps alive what it points to."""

    def __init__(self, context: Any, *held: Any) -> None:
        self.context, self.held = context, held

    def __call__(self) -> None:
        if not self.context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError("TensorRT could not enqueue the engine; its log above says why")
