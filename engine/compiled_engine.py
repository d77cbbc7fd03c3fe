"""The compiled part of an engine: one backend, its bank, and a runner for each program."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.backends.protocol import Backend
from engine.bank import Bank, Copy
from engine.cache import EngineCache, Key
from engine.cuda_device import CudaDevice
from engine.cuda_graphs import Captured, GraphRunner, Streams
from engine.device import describe
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.network import Network, OneShot, ZeroShot, in_dtype
from engine.program import Scope
from engine.runner import HostRunner, Runner
from engine.task_vector import TaskVector, site_shapes
from engine.tolerance import TOLERANCE, psnr


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """What is to be compiled. `dtype` None leaves the choice to the backend."""

    model: MaeVqgan
    fingerprint: str
    device: torch.device
    buckets: tuple[int, ...]
    slots: int
    scope: Scope
    dtype: torch.dtype | None
    cache: EngineCache


class CompiledEngine:
    """Owns the bank. `one_shot` and `zero_shot` are runners; nothing else may write what they read."""

    def __init__(self, spec: CompileSpec, backend: Backend) -> None:
        self.spec, self.backend = spec, backend
        self.dtype = spec.dtype or backend.dtype
        if self.dtype not in TOLERANCE:
            raise EngineError(f"the engine computes in float32, float16 or bfloat16, not in {self.dtype}")
        model = spec.model
        self.bank = Bank(model.config.mae, model.program("zero_shot"), spec.slots, spec.device, self.dtype)
        self.weights = in_dtype(model, torch.float32 if backend.lowers_itself else self.dtype)
        self._streams = _streams(spec.device, self.bank.tensors())
        # One-shot first: its batches are the largest, and graphs captured later fit into the memory of earlier ones.
        self.one_shot = self.runner(OneShot(self.weights, spec.scope), spec.buckets)
        self.zero_shot = self.runner(ZeroShot(self.weights, spec.scope), spec.buckets)
        if self._streams is not None:
            self.prepare()
        self._check()

    def prepare(self) -> None:
        """Make every bucket of both programs ready."""
        self.one_shot.prepare()
        self.zero_shot.prepare()

    def runner(self, network: Network, buckets: tuple[int, ...]) -> Runner:
        """Another network of the same weights, on the same streams and bank."""
        spec = self.spec
        key = Key(
            spec.fingerprint,
            network.name,
            str(spec.scope),
            str(self.dtype).removeprefix("torch."),
            spec.slots,
            buckets,
            self.backend.name,
            self.backend.version,
            describe(spec.device),
        )
        compiled = self.backend.compile(network.eval(), buckets, key, spec.cache)
        if self._streams is not None:
            return GraphRunner(network, compiled, buckets, self._streams)
        return HostRunner(network, compiled, buckets, self.bank.tensors())

    def install(self, slot: int, vector: TaskVector) -> None:
        """Write a slot of the bank; batches submitted later see it, those under way do not."""
        copy: Copy | None = self._streams.install if self._streams is not None else None
        self.bank.write(slot, vector, *([copy] if copy else []))

    @property
    def report(self) -> list[Captured]:
        """Capture time and memory of each graph; empty where there are none."""
        runners = (self.one_shot, self.zero_shot)
        return [line for runner in runners if isinstance(runner, GraphRunner) for line in runner.report]

    def _check(self) -> None:
        """Answers of a plain slot and of a written one against float32 eager; raises EngineError."""
        tile, least = _test_picture(self.spec.model.geometry.tile)[None], TOLERANCE[self.dtype].psnr
        self.install(1, _random_vector(self.spec))
        wanted = [self.reference(tile, slot) for slot in (0, 1)]
        for slot in (0, 1):
            answer = self.zero_shot.submit(tile, [slot]).result()
            near, far = psnr(answer, wanted[slot]), psnr(answer, wanted[1 - slot])
            if not (near >= least and near > far):
                raise EngineError(
                    f"self-check failed in slot {slot}: {near:.1f} dB from float32 eager (at least {least}), "
                    f"{far:.1f} dB from the other slot's answer"
                )
        self.bank.clear(1)
        self._wait()

    @torch.inference_mode()
    def reference(self, tile: Pixels, slot: int) -> Pixels:
        """What float32 eager answers to one tile uint8 [1,T,T,3] with the bank as it is now."""
        device = self.spec.device
        self._wait()  # the bank is written on another stream
        inputs = torch.from_numpy(tile).to(device), torch.tensor([slot], device=device)
        answer: Pixels = ZeroShot(self.spec.model, self.spec.scope)(*inputs, *self.bank.tensors()).cpu().numpy()
        return answer

    def _wait(self) -> None:
        if self._streams is not None:
            torch.cuda.synchronize(self.spec.device)


def _streams(device: torch.device, bank: tuple[Tensor, ...]) -> Streams | None:
    return Streams(CudaDevice(device, bank)) if device.type == "cuda" else None


def _test_picture(side: int) -> Pixels:
    """Something of every frequency: uint8 [side,side,3]."""
    across = np.linspace(0, 1, side)
    waves = [np.sin(across[:, None] * 3 + across[None] * k**2 * 40 + k) for k in range(3)]
    return ((np.stack(waves, -1) + 1) * 127.5).astype(np.uint8)


def _random_vector(spec: CompileSpec) -> TaskVector:
    """Small values at half of the sites, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = site_shapes(spec.model.config.mae, spec.model.program("zero_shot")).values()
    values = [torch.randn(shape, generator=generator) for shape in (encoder, decoder)]
    masks = [torch.rand(shape[:3], generator=generator) < 0.5 for shape in (encoder, decoder)]
    return TaskVector(values[0], masks[0], values[1], masks[1], "zero_shot", spec.fingerprint)
