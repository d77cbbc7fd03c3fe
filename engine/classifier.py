"""Classification at work: a compiled tower, its bank of heads, any mix of tasks in one batch.

A tower computes in float32 on every backend, so that a picture is told the same class here as offline. Asked to be
quick, on a processor that computes in bfloat16, it computes a batch in that first, and again in float32 what that
leaves undecided.
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
from engine.classification.bank import HeadBank
from engine.classification.head import Head, scores, unit
from engine.cuda_device import CudaDevice
from engine.cuda_graphs import GraphRunner
from engine.device import describe, exact_float32
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.gpu import Gpu
from engine.host_runner import HostRunner
from engine.quick_tower import LARGEST_ERROR, MARGIN, QuickFeatures
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
    """What is to be compiled: heads of up to `classes` classes in `slots` rows, batches of `buckets` pictures; `quick`:
    in bfloat16 first, where the backend computes in it on a CPU."""

    tower: Tower
    device: torch.device
    buckets: tuple[int, ...]
    slots: int
    classes: int
    cache: EngineCache
    progress: Progress = lambda line: None
    lean: bool = False
    """Keep buckets as `HostRunner.rest` does once they are checked."""
    quick: bool = False


class Classifier:
    """One backend's. Not thread-safe: one thread owns it."""

    def __init__(self, spec: TowerSpec, backend: Backend, gpu: Gpu | None = None) -> None:
        """`gpu` where the device is one. Raises EngineError where what is compiled does not answer as it should."""
        self.spec, self.backend, self.gpu = spec, backend, gpu
        self.tower = spec.tower.to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with gpu.current() if gpu else nullcontext():
            self.bank = HeadBank(spec.tower.fingerprint, spec.slots, spec.classes, spec.tower.width, spec.device)
        self._staging = Staging(gpu, self.bank.row_bytes, len(self.bank.tensors())) if gpu else None
        self._runner = self._compiled(TowerScores(self.tower, spec.classes) if gpu else TowerFeatures(self.tower))
        self._quick: Runner | None = None
        # On a CPU buckets are compiled as they are needed: `warm_up` makes and checks the others.
        self._check(spec.buckets if gpu else spec.buckets[:1])
        if spec.quick and gpu is None and backend.dtype == torch.bfloat16:
            self._quick = self._checked_quick()

    @property
    def quick(self) -> bool:
        """Whether a batch is computed in bfloat16 first."""
        return self._quick is not None

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
        return Done(self._exact(pixels, slots) if self._quick is None else self._decided(self._quick, pixels, slots))

    def warm_up(self) -> None:
        """Make every bucket ready and check it against float32 eager; raises EngineError."""
        with exact_float32():
            self._runner.prepare()
        quick, self._quick = self._quick, None
        self._check(self.spec.buckets)
        if quick is not None:
            quick.prepare()
            self._quick = quick
        if self.spec.lean and self.backend.lowers_itself:
            for runner in (self._runner, self._quick):
                if isinstance(runner, HostRunner):
                    runner.rest()
            self.tower.to("meta")

    @torch.inference_mode()
    def _exact(self, pixels: Pixels, slots: Sequence[int]) -> Answers:
        features = torch.from_numpy(self._runner.submit(pixels, ()).result())
        found: Answers = self.bank.scores(features, slots).numpy()
        return found

    @torch.inference_mode()
    def _decided(self, quick: Runner, pixels: Pixels, slots: Sequence[int]) -> Answers:
        """Quick scores, but for rows that they leave undecided."""
        scores = self.bank.scores(torch.from_numpy(quick.submit(pixels, ()).result()), slots)
        answers: Answers = scores.numpy()
        if rows := self.bank.undecided(scores, slots, MARGIN):
            answers[rows] = self._exact(pixels[rows], [slots[row] for row in rows])
        return answers

    def _checked_quick(self) -> Runner | None:
        """The tower in bfloat16; None where its features are too far from float32 eager's, as of random weights."""
        runner = self._compiled(QuickFeatures(self.tower), torch.bfloat16)
        picture = check_picture(self.tower.size)[None]
        with exact_float32(), torch.inference_mode():
            wanted = unit(TowerFeatures(self.tower)(torch.from_numpy(picture)))
        error = float((unit(torch.from_numpy(runner.submit(picture, ()).result())) - wanted).norm())
        if error <= LARGEST_ERROR:
            return runner
        log.info("the image tower computes in float32 alone: in bfloat16 its features are %.2f off", error)
        return None

    def _compiled(self, network: TowerFeatures, dtype: torch.dtype = torch.float32) -> Runner:
        spec = self.spec
        spec.progress(f"building {network.name} with {self.backend.name}")
        key = Key(
            spec.tower.fingerprint,
            network.name,
            f"{network.row[0]} columns",
            str(dtype).removeprefix("torch."),
            spec.slots if self.gpu else 0,
            spec.buckets,
            self.backend.name,
            self.backend.version,
            describe(spec.device),
        )
        with self.gpu.current() if self.gpu else nullcontext():
            compiled = self.backend.compile(network.eval(), spec.buckets, key, spec.cache)
        kind = HostRunner if self.gpu is None else partial(GraphRunner, gpu=self.gpu)
        bank = self.bank.tensors() if self.gpu else ()
        return kind(network, compiled, spec.buckets, bank=bank, progress=spec.progress)

    def _check(self, buckets: Sequence[int]) -> None:
        """Make each of `buckets` ready and hold it against float32 eager, neighbours in slots of their own.

        Raises EngineError, also where a head was written before.
        """
        if bool(self.bank.classes.any()):
            raise EngineError("a classifier is checked before heads are written")
        slots = range(1, min(3, self.bank.slots))
        heads = {slot: _random_head(self.tower, min(_CHECKED_CLASSES, self.spec.classes), slot) for slot in slots}
        for slot, head in heads.items():
            self.write_slot(slot, head)
        picture = check_picture(self.tower.size)[None]
        wanted = {slot: self.reference(picture, head) for slot, head in heads.items()}
        with exact_float32():  # what is captured stays so
            for bucket in buckets:
                own = [slots[row % len(slots)] for row in range(bucket)]
                answers = self.submit(np.repeat(picture, bucket, 0), own).result()
                for slot, answer in zip(own, answers, strict=True):
                    _hold(f"bucket {bucket}, slot {slot}", answer, wanted[slot])
        self._empty(slots)

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
    log.info("image tower %s: %s on %s", spec.tower.fingerprint[:12], choice.name, spec.device)
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
