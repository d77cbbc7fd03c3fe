"""Running TensorRT or TensorRT-RTX engines: one engine for each program, one context for each bucket.

Contexts share one scratch memory: replays follow each other on one stream. What a launch enqueues is fixed by
then, so `cuda_graphs` captures it as it does any other backend's.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.backends.protocol import BackendUnavailable, Launch
from engine.errors import EngineError
from engine.network import Buffers

FILE: Final = "network.engine"
FLAVOURS: Final = ("tensorrt", "tensorrt_rtx")


def load_tensorrt(flavours: tuple[str, ...] = FLAVOURS) -> tuple[Any, str]:
    """An installed flavour's module and its name: the first of `flavours` that loads. Raises BackendUnavailable."""
    reasons = []
    for flavour in flavours:
        try:
            module = import_module(flavour)
        except (ImportError, OSError, RuntimeError) as error:  # an install without its libraries raises any of these
            reasons.append(f"{flavour}: {error}")
            continue
        # torch-tensorrt lets a module of its own stand for `tensorrt`, which may be TensorRT-RTX.
        own = getattr(module, "_target_module", module)
        return own, own.__name__
    raise BackendUnavailable(
        "TensorRT is missing: pip install 'visual-task-vectors[tensorrt]' (or [tensorrt-rtx]); " + "; ".join(reasons)
    )


class Scratch:
    """The activations of whichever context runs. Grows only while contexts are made, before any is captured."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.memory = torch.empty(0, dtype=torch.uint8, device=device)

    def reserve(self, size: int) -> Tensor:
        """At least `size` bytes. Memory given out before stays valid: its holders keep it."""
        if self.memory.numel() < size:
            self.memory = torch.empty(size, dtype=torch.uint8, device=self.device)
        return self.memory


class TensorRtRuntime:
    """Reads engines, and holds what all of them share."""

    def __init__(self, trt: Any, device: torch.device) -> None:
        self.trt, self.device = trt, device
        self.logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self.logger)
        self._scratch = Scratch(device)

    def read(self, folder: Path) -> Any:
        """The engine in a folder; raises EngineError."""
        engine = self._runtime.deserialize_cuda_engine((folder / FILE).read_bytes())
        if engine is None:
            raise EngineError("TensorRT refuses the engine; its log above says why")
        return engine

    def network(self, engine: Any, inputs: tuple[str, ...], buckets: tuple[int, ...]) -> "TensorRtNetwork":
        """An engine that was built for these inputs, with a profile for each bucket in their order."""
        return TensorRtNetwork(self.trt, engine, inputs, buckets, self._scratch)


class TensorRtNetwork:
    """An engine and its profiles, one for each bucket."""

    def __init__(
        self, trt: Any, engine: Any, inputs: tuple[str, ...], buckets: tuple[int, ...], scratch: Scratch
    ) -> None:
        self.trt, self.engine, self.inputs, self.buckets, self.scratch = trt, engine, inputs, buckets, scratch
        found = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.output = next((name for name in found if name not in inputs), "")
        if sorted(found) != sorted([*inputs, self.output]):
            raise EngineError(f"the engine has the inputs and outputs {found}, not {inputs}")

    def bind(self, buffers: Buffers) -> Launch:
        """On the current stream. The profile first, then shapes, then the memory that those need."""
        context, stream = self._context(), torch.cuda.current_stream(self.scratch.device)
        if not context.set_optimization_profile_async(self.buckets.index(buffers.bucket), stream.cuda_stream):
            raise EngineError(f"TensorRT has no profile for bucket {buffers.bucket}")
        for name, tensor in zip(self.inputs, buffers.inputs, strict=True):
            if not (context.set_input_shape(name, tuple(tensor.shape)) and self._address(context, name, tensor)):
                raise EngineError(f"TensorRT refuses {name} of shape {list(tensor.shape)}")
        answers = self._answers(buffers)
        self._address(context, self.output, answers)
        size = context.update_device_memory_size_for_shapes()
        memory = self.scratch.reserve(size)
        context.set_device_memory(memory.data_ptr(), memory.numel())
        stream.synchronize()
        # RTX: a context that would still compile or allocate while it runs.
        if hasattr(context, "is_stream_capturable") and not context.is_stream_capturable(stream.cuda_stream):
            raise EngineError(f"TensorRT cannot be captured for bucket {buffers.bucket}")
        return _Launch(context, answers, buffers, memory)

    def _context(self) -> Any:
        by = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self.trt, "DynamicShapesKernelSpecializationStrategy"):
            return self.engine.create_execution_context(by)
        # RTX: kernels that are made while running could not be captured.
        config = self.engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(by)
        config.dynamic_shapes_kernel_specialization_strategy = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        return self.engine.create_execution_context(config)

    def _answers(self, buffers: Buffers) -> Tensor:
        """What the engine writes: the buffers' own output, or another where the engine leaves the last cast out."""
        if self.engine.get_tensor_dtype(self.output) != self.trt.float32 or buffers.output.dtype == torch.float32:
            return buffers.output
        return torch.empty(buffers.output.shape, dtype=torch.float32, device=self.scratch.device)

    @staticmethod
    def _address(context: Any, name: str, tensor: Tensor) -> bool:
        return bool(context.set_tensor_address(name, tensor.data_ptr()))


class _Launch:
    """Enqueues a context and the last cast; keeps alive what both point to."""

    def __init__(self, context: Any, answers: Tensor, buffers: Buffers, memory: Tensor) -> None:
        self.context, self.answers, self.buffers, self.memory = context, answers, buffers, memory

    def __call__(self) -> None:
        if not self.context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError("TensorRT could not enqueue the engine; its log above says why")
        if self.answers is not self.buffers.output:
            self.buffers.output.copy_(self.answers)
