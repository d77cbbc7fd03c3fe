"""A device as `engine.gpu` describes it, whose stream runs as late as it may and which refuses what a GPU refuses."""

import random
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tests.fake_cuda.memory import Address, Memory

Kernel = Callable[[], None]
_FACTORIES: Final = {torch.zeros, torch.full, torch.empty}


class CaptureError(RuntimeError):
    """Something that no graph can hold was done while one was captured."""


class DeviceError(RuntimeError):
    """A kernel failed: from then on the device answers nothing else."""


@dataclass
class FakeEvent:
    """A point in the stream."""

    device: "FakeCuda"
    place: int

    def synchronize(self) -> None:
        self.device.refuse_in_capture("waiting for an event")
        self.device.run_until(self.place)


@dataclass
class FakeGraph:
    """Kernels. They know addresses and contexts, and hold neither."""

    device: "FakeCuda"
    kernels: list[Kernel] = field(default_factory=list)

    def replay(self) -> None:
        self.device.refuse_in_capture("replaying a graph")
        for kernel in self.kernels:
            self.device.enqueue(kernel)


class _OnDevice(TorchFunctionMode):
    """Lets PyTorch's factories take their memory from the device, and its copies wait for their turn."""

    def __init__(self, device: "FakeCuda") -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.copy_ and self.device.memory.holds(args[0]):
            self.device.copy(args[0], args[1])
            return args[0]
        given = func(*args, **(kwargs or {}))
        if func not in _FACTORIES:
            return given
        self.device.refuse_in_capture("allocating")
        own = self.device.memory.empty(tuple(given.shape), given.dtype)
        return own.copy_(given)


class FakeCuda:
    """One stream. Nothing runs before the host waits for it, and then no more than it must, but by chance some."""

    def __init__(self, seed: int = 0, size: int = 1 << 24) -> None:
        self.device = torch.device("cpu")
        self.memory = Memory(size)
        self.broken = False
        self.waits = 0
        self._draw = random.Random(seed)
        self._queue: list[Kernel] = []
        self._done = 0
        self._capturing: FakeGraph | None = None
        self._inside = False
        self._warm: weakref.WeakSet[Any] = weakref.WeakSet()

    @contextmanager
    def current(self) -> Iterator[None]:
        outermost, self._inside = not self._inside, True
        try:
            with _OnDevice(self) if outermost else nullcontext():
                yield
        finally:
            self._inside = not outermost

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self.refuse_in_capture("allocating page-locked memory")
        return self.memory.empty(shape, dtype)  # not what anybody may rely on

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Knows addresses alone, as the device does: whoever enqueues it keeps both where they are."""
        if target.shape != source.shape:
            raise DeviceError(f"a copy of {list(source.shape)} into {list(target.shape)}")
        to, of = Address(target), Address(source)
        self.memory.check(target)
        self.memory.check(source)
        self.enqueue(lambda: _copy(self.memory, to, of))
        self.some()

    def run(self, launch: Kernel) -> None:
        with self.current():
            launch()
        if not isinstance(getattr(launch, "__self__", None), FakeGraph):
            self._warm.add(launch)

    def capture(self, launch: Kernel) -> FakeGraph:
        if launch not in self._warm:
            raise CaptureError("this launch never ran: its kernels would be loaded during the capture")
        if self._queue:
            raise CaptureError("work is under way that the capture would not see")
        self._capturing = FakeGraph(self)
        try:
            with self.current():
                launch()
            return self._capturing
        finally:
            self._capturing = None

    def mark(self) -> FakeEvent:
        return FakeEvent(self, self._done + len(self._queue))

    def synchronize(self) -> None:
        self.refuse_in_capture("synchronising")
        self.run_until(self._done + len(self._queue))

    def used(self) -> int:
        return self.memory.used

    def enqueue(self, kernel: Kernel) -> None:
        """To be done later, or to be part of the graph that is captured."""
        (self._queue if self._capturing is None else self._capturing.kernels).append(kernel)

    def refuse_in_capture(self, what: str) -> None:
        if self._capturing is not None:
            raise CaptureError(f"{what} while a graph is captured")

    def some(self) -> None:
        """Run a little of what waits."""
        if self._capturing is None:
            self.run_until(self._done + self._draw.choice((0, 0, 1, 3)), wait=False)

    def run_until(self, place: int, wait: bool = True) -> None:
        self.waits += wait
        while self._done < place and self._queue:
            if self.broken:
                raise DeviceError("CUDA error: an illegal instruction was encountered")
            self._queue.pop(0)()
            self._done += 1


def _copy(memory: Memory, to: Address, of: Address) -> None:
    memory.at(to).copy_(memory.at(of))
