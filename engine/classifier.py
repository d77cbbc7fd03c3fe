"""Classification at work: a compiled tower, its bank of heads, any mix of tasks in one batch.

On a CPU a tower computes as `engine/host_tower.py` says, on a GPU in float32: a picture is told the same class here as
offline.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch

from engine.backends.choice import choose
from engine.backends.protocol import Backend
from engine.cache import EngineCache, Key
from engine.classification import Precision
from engine.classification.bank import HeadBank
from engine.classification.head import Head, scores, unit
from engine.cuda_device import CudaDevice
from engine.cuda_graphs import GraphRunner
from engine.device import describe, exact_float32, host_threads, leave_cores
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.gpu import Gpu
from engine.host_runner import HostRunner
from engine.host_tower import exact_runner, quick_runner
from engine.runner import Answers, Done, Pending, Progress, Runner
from engine.staging import Staging
from engine.tolerance import check_picture
from engine.tower_network import TowerFeatures, TowerScores
from engine.towers.tower import Tower

log: Final = logging.getLogger("vtv.engine")
TOLERANCE: Final = 1e-3
"""How far a score may be from float32 eager's where cosines are scaled by `_CHECKED_SCALE`."""
_CHECKED_SCALE: Final = 20.0
_CHECKED_CLASSES: Final = 8


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """What is to be compiled: heads of up to `classes` classes in `slots` rows, batches of `buckets` pictures.
    `precision`: `bfloat16` where a CPU's backend computes in it."""

    tower: Tower
    device: torch.device
    buckets: tuple[int, ...]
    slots: int
    classes: int
    cache: EngineCache
    progress: Progress = lambda line: None
    lean: bool = False
    """Keep buckets as `HostRunner.rest` does once they are checked."""
    precision: Precision = "float32"


class Classifier:
    """One backend's. Not thread-safe: one thread owns it."""

    def __init__(self, spec: TowerSpec, backend: Backend, gpu: Gpu | None = None) -> None:
        """`gpu` where the device is one. Raises EngineError where what is compiled does not answer as it should."""
        self.spec, self.backend, self.gpu = spec, backend, gpu
        self.tower = spec.tower.to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        threads = host_threads() if self._leaves_cores else 1
        with gpu.current() if gpu else nullcontext():
            self.bank = HeadBank(
                spec.tower.fingerprint, spec.slots, spec.classes, spec.tower.width, spec.device, threads
            )
        self._staging = Staging(gpu, self.bank.row_bytes, len(self.bank.tensors())) if gpu else None
        self.precision: Precision = "float32"
        """What the tower computes in."""
        self._runner: Runner = self._captured(gpu) if gpu else self._on_host()
        # On a CPU buckets are compiled as they are needed: `warm_up` makes and checks the others.
        self._check(spec.buckets if gpu else spec.buckets[:1])

    def write_slot(self, slot: int, head: Head) -> None:
        """Install a head in place; batches submitted later see it. Raises EngineError, ModelMismatch."""
        self.bank.write(slot, head, *([self._staging.copy] if self._staging else []))

    def submit(self, pixels: Pixels, slots: Sequence[int]) -> Pending:
        """Start a batch uint8 [B,size,size,3] with a slot for each row; `result()` gives scores float32 [B,C], of which
        the first K are the row's classes. Raises EngineError for other shapes and empty slots."""
        side = self.tower.size
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3) or not len(pixels):
            raise EngineError(f"input must be uint8 [B,{side},{side},3], not {pixels.dtype} {list(pixels.shape)}")
        if len(slots) != len(pixels) or not all(0 < slot < self.bank.slots for slot in slots):
            raise EngineError(f"{len(pixels)} pictures need a slot of 1..{self.bank.slots - 1} each, not {list(slots)}")
        if self.gpu is not None:
            return self._runner.submit(pixels, slots)
        return Done(self._compared(pixels, slots))

    def warm_up(self) -> None:
        """Make every bucket ready and check it against float32 eager; raises EngineError."""
        with exact_float32():
            self._runner.prepare()
        self._check(self.spec.buckets)
        if self.spec.lean and self.backend.lowers_itself and isinstance(self._runner, HostRunner):
            self._runner.rest()
            self._runner.network.to("meta")
            self.tower.to("meta")

    @torch.inference_mode()
    def _compared(self, pixels: Pixels, slots: Sequence[int]) -> Answers:
        features = torch.from_numpy(self._runner.submit(pixels, ()).result())
        if self._leaves_cores:
            leave_cores()
        found: Answers = self.bank.scores(features, slots).numpy()
        return found

    @property
    def _leaves_cores(self) -> bool:
        """Whether torch, which has the heads left, computes on one thread."""
        return self.gpu is None and self.spec.lean and self.backend.lowers_itself

    def _on_host(self) -> Runner:
        spec = self.spec
        asked = self.tower, self.backend, spec.buckets, spec.cache, spec.progress
        if spec.precision == "bfloat16" and (quick := quick_runner(*asked)):
            self.precision = "bfloat16"
            return quick
        return exact_runner(*asked)

    def _captured(self, gpu: Gpu) -> Runner:
        spec, network = self.spec, TowerScores(self.tower, self.spec.classes)
        spec.progress(f"building {network.name} with {self.backend.name}")
        key = Key(
            spec.tower.fingerprint,
            network.name,
            f"{network.row[0]} columns",
            "float32",
            spec.slots,
            spec.buckets,
            self.backend.name,
            self.backend.version,
            describe(spec.device),
        )
        with gpu.current():
            compiled = self.backend.compile(network.eval(), spec.buckets, key, spec.cache)
        return GraphRunner(network, compiled, spec.buckets, bank=self.bank.tensors(), gpu=gpu, progress=spec.progress)

    def _check(self, buckets: Sequence[int]) -> None:
        """Make each of `buckets` ready and hold it against float32 eager, neighbours in slots of their own; in bfloat16
        against what the smallest tells, whose features were held against float32 eager's when it was made.

        Raises EngineError, also where a head was written before.
        """
        if bool(self.bank.classes.any()):
            raise EngineError("a classifier is checked before heads are written")
        slots = range(1, min(3, self.bank.slots))
        heads = {slot: _random_head(self.tower, min(_CHECKED_CLASSES, self.spec.classes), slot) for slot in slots}
        for slot, head in heads.items():
            self.write_slot(slot, head)
        picture = check_picture(self.tower.size)[None]
        wanted = {slot: self._wanted(picture, slot, head) for slot, head in heads.items()}
        with exact_float32():  # what is captured stays so
            for bucket in buckets:
                own = [slots[row % len(slots)] for row in range(bucket)]
                answers = self.submit(np.repeat(picture, bucket, 0), own).result()
                for slot, answer in zip(own, answers, strict=True):
                    _hold(f"bucket {bucket}, slot {slot}", answer, wanted[slot])
        self._empty(slots)

    def _wanted(self, picture: Pixels, slot: int, head: Head) -> Answers:
        if self.precision == "float32":
            return self.reference(picture, head)
        own: Answers = self.submit(picture, [slot]).result()[0, : len(head.labels)]
        return own

    @torch.inference_mode()
    def reference(self, picture: Pixels, head: Head) -> Answers:
        """What float32 eager answers to one picture uint8 [1,S,S,3]: scores float32 [K]."""
        with exact_float32():
            features = TowerFeatures(self.tower)(torch.from_numpy(picture).to(self.spec.device))
            found: Answers = scores(features, head.matrix.to(self.spec.device), head.scale)[0].cpu().numpy()
        return found

    def _empty(self, slots: Sequence[int]) -> None:
        if self.gpu is not None:
            self.gpu.synchronize()
        for slot in slots:
            self.bank.clear(slot)
        if self.gpu is not None:
            self.gpu.synchronize()


def build_classifier(spec: TowerSpec, backend: str) -> Classifier:
    """With the backend of that name, or with `auto` the best that works. Raises EngineError."""
    classifier, choice = choose(backend, spec.device, partial(_compile, spec))
    for line in choice.passed_over:
        log.warning("backend passed over for the image tower: %s", line)
    mark = spec.tower.fingerprint[:12]
    log.info("image tower %s: %s on %s in %s", mark, choice.name, spec.device, classifier.precision)
    return classifier


def _compile(spec: TowerSpec, backend: Backend) -> Classifier:
    if spec.device.type != "cuda":
        return Classifier(spec, backend)
    with torch.cuda.device(spec.device):
        # A stream of its own, so that it may be built while another engine computes.
        return Classifier(spec, backend, CudaDevice(spec.device))


def _random_head(tower: Tower, classes: int, seed: int) -> Head:
    generator = torch.Generator().manual_seed(seed)
    matrix = unit(torch.randn(classes, tower.width, generator=generator))
    return Head(matrix, _CHECKED_SCALE, tuple(f"class {row}" for row in range(classes)), tower.fingerprint)


def _hold(what: str, answer: Answers, wanted: Answers) -> None:
    error = float(np.abs(answer[: len(wanted)] - wanted).max())
    if not error <= TOLERANCE:
        raise EngineError(
            f"self-check failed: classify, {what}: a score is {error:.1g} from float32 eager (at most {TOLERANCE:.1g})"
        )
