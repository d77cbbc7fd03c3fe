"""The compiled part of an engine: one backend, its bank, and a runner for each program."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.backends.protocol import Backend
from engine.bank import Bank
from engine.cache import EngineCache, Key
from engine.cuda_graphs import Captured, GraphRunner
from engine.device import describe, exact_float32, release_memory
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.gpu import Gpu
from engine.host_runner import HostRunner
from engine.mapped_files import forget_pages
from engine.model import MaeVqgan
from engine.network import Network, OneShot, ZeroShot, in_dtype
from engine.program import ProgramName, Scope
from engine.runner import Progress, Runner
from engine.staging import Staging
from engine.task_vector import TaskVector, site_shapes
from engine.tolerance import TOLERANCE, check_picture, psnr

_CHECKED_SLOT: Final = 1


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
    progress: Progress = lambda line: None


class CompiledEngine:
    """Owns the bank. `one_shot` and `zero_shot` are runners; nothing else may write what they read."""

    def __init__(self, spec: CompileSpec, backend: Backend, gpu: Gpu | None = None) -> None:
        """`gpu` where the device is one. Raises EngineError where what is compiled does not answer as it should."""
        self.spec, self.backend, self.gpu = spec, backend, gpu
        self.dtype = spec.dtype or backend.dtype
        if self.dtype not in TOLERANCE:
            raise EngineError(f"the engine computes in float32, float16 or bfloat16, not in {self.dtype}")
        model = spec.model
        with gpu.current() if gpu else nullcontext():
            self.bank = Bank(model.config.mae, model.program("zero_shot"), spec.slots, spec.device, self.dtype)
        self._staging = Staging(gpu, self.bank.row_bytes, len(self.bank.tensors())) if gpu else None
        self.weights = in_dtype(model, torch.float32 if backend.lowers_itself else self.dtype)
        # One-shot first: its batches are the largest, and graphs captured later fit into the memory of earlier ones.
        self.runners: dict[ProgramName, Runner] = {
            "one_shot": self.runner(OneShot(self.weights, spec.scope), spec.buckets),
            "zero_shot": self.runner(ZeroShot(self.weights, spec.scope), spec.buckets),
        }
        if gpu:
            self.prepare()
            self.check(("zero_shot", "one_shot"), spec.buckets)
        else:  # buckets are compiled as they are needed: `warm_up` makes and checks the others
            self.check(("zero_shot",), spec.buckets[:1])

    def prepare(self) -> None:
        """Make every bucket of both programs ready."""
        for runner in self.runners.values():
            runner.prepare()

    def rest(self) -> None:
        """Keep what is needed all the time alone; nothing can be checked against eager from now on.

        On a CPU where the backend holds the weights in a form of its own, for each bucket.
        """
        if self.gpu is None and self.backend.lowers_itself:
            for runner in self.runners.values():
                if isinstance(runner, HostRunner):
                    runner.rest()
            self.spec.model.to("meta")
            release_memory(self.spec.device)
            forget_pages(Path(torch.__file__).parent)  # most of it was read as it was loaded, and by eager

    def runner(self, network: Network, buckets: tuple[int, ...]) -> Runner:
        """Another network of the same weights, on the same stream and bank."""
        spec = self.spec
        spec.progress(f"building {network.name} with {self.backend.name}")
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
        with self.gpu.current() if self.gpu else nullcontext():
            compiled = self.backend.compile(network.eval(), buckets, key, spec.cache)
        kind = HostRunner if self.gpu is None else partial(GraphRunner, gpu=self.gpu)
        return kind(network, compiled, buckets, bank=self.bank.tensors(), progress=spec.progress)

    def install(self, slot: int, vector: TaskVector) -> None:
        """Write a slot of the bank; batches submitted later see it, those under way do not."""
        self.bank.write(slot, vector, *([self._staging.copy] if self._staging else []))

    @property
    def report(self) -> list[Captured]:
        """Capture time and memory of each graph; empty where there are none."""
        return [line for runner in self.runners.values() if isinstance(runner, GraphRunner) for line in runner.report]

    def check(self, programs: Sequence[ProgramName], buckets: Sequence[int]) -> None:
        """Each of `buckets` against float32 eager, every other row of zero-shot with a task vector of its own.

        Raises EngineError. What slot 1 holds is put back; nothing may be in flight.
        """
        kept = self._read(_CHECKED_SLOT)
        self.install(_CHECKED_SLOT, _random_vector(self.spec))
        if "zero_shot" in programs:
            self._check_zero_shot(buckets)
        if "one_shot" in programs:
            self._check_one_shot(buckets)
        self._write(_CHECKED_SLOT, kept)

    def _check_zero_shot(self, buckets: Sequence[int]) -> None:
        tile = check_picture(self.spec.model.geometry.tile)[None]
        wanted = [self.reference("zero_shot", tile, slot)[0] for slot in (0, _CHECKED_SLOT)]
        for bucket in buckets:
            for first in (0, 1):
                slots = [(first + row) % 2 for row in range(bucket)]
                answers = self.runners["zero_shot"].submit(np.repeat(tile, bucket, 0), slots).result()
                for answer, slot in zip(answers, slots, strict=True):
                    self._hold(f"zero_shot, bucket {bucket}, slot {slot}", answer, wanted[slot], wanted[1 - slot])

    def _check_one_shot(self, buckets: Sequence[int]) -> None:
        canvas = check_picture(self.spec.model.geometry.image_size)[None]
        wanted = self.reference("one_shot", canvas)[0]
        for bucket in buckets:
            for answer in self.runners["one_shot"].submit(np.repeat(canvas, bucket, 0), ()).result():
                self._hold(f"one_shot, bucket {bucket}", answer, wanted)

    def _hold(self, what: str, answer: Pixels, near: Pixels, far: Pixels | None = None) -> None:
        least, found = TOLERANCE[self.dtype].psnr, psnr(answer, near)
        other = -float("inf") if far is None else psnr(answer, far)
        if not (found >= least and found > other):
            told = "" if far is None else f", {other:.1f} dB from the other slot's answer"
            raise EngineError(f"self-check failed: {what}: {found:.1f} dB from float32 eager (at least {least}){told}")

    @torch.inference_mode()
    def reference(self, program: ProgramName, picture: Pixels, slot: int = 0) -> Pixels:
        """What float32 eager answers to one picture uint8 [1,S,S,3] with the bank as it is now."""
        spec = self.spec
        self._wait()  # the bank is written on another stream
        pixels = torch.from_numpy(picture).to(spec.device)
        with exact_float32():
            if program == "one_shot":
                answer = OneShot(spec.model, spec.scope)(pixels)
            else:
                given = pixels, torch.tensor([slot], device=spec.device)
                answer = ZeroShot(spec.model, spec.scope)(*given, *self.bank.tensors())
        found: Pixels = answer.cpu().numpy()
        return found

    def _read(self, slot: int) -> list[Tensor]:
        self._wait()
        return [own.to("cpu", copy=True) for own in self.bank.row(slot)]

    def _write(self, slot: int, held: list[Tensor]) -> None:
        for own, given in zip(self.bank.row(slot), held, strict=True):
            own.copy_(given)
        self._wait()

    def _wait(self) -> None:
        if self.gpu is not None:
            self.gpu.synchronize()


def _random_vector(spec: CompileSpec) -> TaskVector:
    """Small values at half of the sites, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = site_shapes(spec.model.config.mae, spec.model.program("zero_shot")).values()
    values = [torch.randn(shape, generator=generator) for shape in (encoder, decoder)]
    masks = [torch.rand(shape[:3], generator=generator) < 0.5 for shape in (encoder, decoder)]
    return TaskVector(values[0], masks[0], values[1], masks[1], "zero_shot", spec.fingerprint)
