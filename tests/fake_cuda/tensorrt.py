"""A TensorRT whose contexts keep to the order that its documentation asks for, and run on the fake device."""

import weakref
from types import SimpleNamespace
from typing import Final

import torch

from tests.fake_cuda.backend import DestroyedContext, Function
from tests.fake_cuda.device import FakeCuda
from tests.fake_cuda.memory import Address

float32: Final = "float32"
uint8: Final = "uint8"
ExecutionContextAllocationStrategy: Final = SimpleNamespace(USER_MANAGED="user managed")
_MEMORY_PER_ROW: Final = 640


class OutOfOrder(RuntimeError):
    """A context was told something before what has to come first."""


class FakeEngine:
    """A deserialised engine that computes `function`, with a profile for each of `rows`."""

    def __init__(self, device: FakeCuda, function: Function, inputs: tuple[str, ...], rows: tuple[int, ...]) -> None:
        self.device, self.function, self.rows = device, function, rows
        self.names = (*inputs, "output0")
        self.capturable = True
        self.contexts: list[weakref.ref[FakeContext]] = []

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_dtype(self, name: str) -> str:
        return float32 if name == "output0" else uint8

    def create_execution_context(self, strategy: str) -> "FakeContext":
        assert strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        context = FakeContext(self)
        self.contexts.append(weakref.ref(context))
        return context


class FakeContext:
    """Wants the profile, then shapes, then addresses and memory."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._rows: int | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._memory: tuple[int, int] | None = None

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self._rows, self._shapes = self._engine.rows[profile], {}
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self._rows is None:
            raise OutOfOrder("a shape before the profile")
        if name in ("pixels", "slot") and shape[0] != self._rows:
            return False
        self._shapes[name] = shape
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        if self._rows is None or len(self._shapes) != len(self._engine.names) - 1:
            raise OutOfOrder("memory before all shapes")
        return self._needed

    def set_device_memory(self, address: int, size: int) -> None:
        if len(self._shapes) != len(self._engine.names) - 1:
            raise OutOfOrder("memory before all shapes")
        if size < self._needed:
            raise OutOfOrder(f"{size} bytes are less than {self._needed}")
        self._memory = address, size

    def is_stream_capturable(self, stream: int) -> bool:
        return self._engine.capturable

    def execute_async_v3(self, stream: int) -> bool:
        if self._memory is None or set(self._addresses) != set(self._engine.names):
            raise OutOfOrder("run before memory and addresses")
        me = weakref.ref(self)
        self._engine.device.enqueue(lambda: _run(me))
        return True

    @property
    def _needed(self) -> int:
        return _MEMORY_PER_ROW * (self._rows or 0)

    @torch.inference_mode()
    def compute(self, types: dict[str, torch.dtype]) -> None:
        """What the kernels do, from addresses alone."""
        memory = self._engine.device.memory
        assert self._memory is not None
        assert self._rows is not None
        memory.at(_address(self._memory[0], (self._memory[1],), torch.uint8)).zero_()
        given = [
            memory.at(_address(self._addresses[name], self._shapes[name], types[name]))
            for name in self._engine.names[:-1]
        ]
        answers = self._engine.function(*given).float()
        memory.at(_address(self._addresses["output0"], tuple(answers.shape), torch.float32)).copy_(answers)


def _run(of: "weakref.ref[FakeContext]") -> None:
    context = of()
    if context is None:
        raise DestroyedContext("the context was destroyed before its work ran")
    context.compute(TYPES)


TYPES: Final = {"pixels": torch.uint8, "slot": torch.int64, "bank": torch.float32}


def _address(at: int, shape: tuple[int, ...], dtype: torch.dtype) -> Address:
    """Of a contiguous tensor."""
    found = Address(torch.empty(shape, dtype=dtype, device="meta"))
    found.start = at
    return found


class FakeStream:
    """What `torch.cuda.current_stream` gives."""

    cuda_stream: Final = 7

    def __init__(self, device: FakeCuda) -> None:
        self._device = device

    def synchronize(self) -> None:
        self._device.synchronize()
