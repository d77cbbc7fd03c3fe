"""A backend for the fake device: execution contexts that know addresses, and die with their owner."""

import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from engine.backends.eager import Eager
from engine.cache import EngineCache, Key
from engine.network import Buffers, Network
from tests.fake_cuda.device import FakeCuda
from tests.fake_cuda.memory import Address

Function = Callable[..., Tensor]
"""A network's inputs -> what is written to its output."""


class DestroyedContext(RuntimeError):
    """A context was used after its owner was gone."""


class Context:
    """What a library keeps to run a network: its kernels read from it long after they were enqueued."""

    def __init__(self, device: FakeCuda, function: Function, static: Buffers) -> None:
        self._device, self._function = device, function
        self._addresses = [Address(tensor) for tensor in static.inputs], Address(static.output)
        # The library's scratch memory, freed with the context.
        with device.current():
            self._scratch = torch.zeros(static.output.shape, dtype=static.output.dtype)

    def __call__(self) -> None:
        me = weakref.ref(self)
        self._device.enqueue(lambda: _run(me))

    @torch.inference_mode()
    def compute(self) -> None:
        inputs, output = self._addresses
        memory = self._device.memory
        memory.check(self._scratch)
        self._scratch.copy_(self._function(*map(memory.at, inputs)))
        memory.at(output).copy_(self._scratch)


def _run(of: "weakref.ref[Context]") -> None:
    context = of()
    if context is None:
        raise DestroyedContext("the context was destroyed before its work ran")
    context.compute()


class FakeNetwork:
    """Compiled. `captured` lists the buckets in the order they were bound."""

    def __init__(self, device: FakeCuda, function: Function) -> None:
        self.device, self.function = device, function
        self.bound: list[int] = []
        self.contexts: list[weakref.ref[Context]] = []

    def bind(self, buffers: Buffers) -> Context:
        context = Context(self.device, self.function, buffers)
        self.bound.append(buffers.bucket)
        self.contexts.append(weakref.ref(context))
        return context


class FakeBackend(Eager):
    """Runs any network, in float32, on the fake device."""

    name = "fake"

    def __init__(self, device: FakeCuda) -> None:
        super().__init__(torch.device("cpu"))
        self.fake = device
        self.compiled: list[FakeNetwork] = []

    def compile(  # type: ignore[override]
        self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache
    ) -> FakeNetwork:
        self.compiled.append(FakeNetwork(self.fake, network))
        return self.compiled[-1]
