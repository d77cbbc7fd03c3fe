"""The engine: uint8 in, uint8 out, any mix of tasks in one batch."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from engine.backends.choice import AUTO, BACKENDS, choose
from engine.backends.protocol import Backend
from engine.cache import EngineCache, default_root
from engine.checkpoint import load_model
from engine.classification.head import Head
from engine.classifier import Classifier
from engine.compiled_engine import CompiledEngine, CompileSpec
from engine.cuda_device import CudaDevice
from engine.cuda_graphs import IN_FLIGHT, Captured
from engine.device import release_memory
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.program import EngineProgram, Scope
from engine.runner import Pending, Progress, bucket_for
from engine.task_vector import TaskVector

__all__ = ["BACKENDS", "DEFAULT_BUCKETS", "Engine"]

log: Final = logging.getLogger("vtv.engine")
DEFAULT_BUCKETS: Final = {"cpu": (1, 2, 4, 8), "cuda": (1, 2, 4, 8, 16, 24, 32, 48, 64)}
"""On a CPU an image costs the same in any batch from 4 on; larger ones only wait longer for each other. On a GPU the
products of 32 pictures are hardly more tiles than it has processors: most of a second wave would be empty."""


class Engine:
    """A frozen model, its bank, and the two programs over fixed batch sizes; an image tower beside it where there is
    a `classifier`.

    Not thread-safe: one thread owns it. A slot number means the same row of both banks, of which one is in use.
    `buckets` are the batch sizes that run; others are padded up with slot 0, and the padding never leaves. `backend`
    is the name of what runs; where `auto` had to pass over a better one, `fallbacks` says "NAME: why" for each. One
    that is `lean` keeps in memory what it needs at rest, once it is warmed up: see `CompiledEngine.rest`.
    """

    def __init__(
        self,
        model: MaeVqgan,
        fingerprint: str,
        *,
        slots: int = 64,
        buckets: Sequence[int] | None = None,
        backend: str = AUTO,
        device: str = "cpu",
        scope: Scope = Scope.ANSWER,
        dtype: torch.dtype | None = None,
        cache: Path | None = None,
        progress: Progress = lambda line: None,
        lean: bool = False,
    ) -> None:
        self.device = checked_device(device)
        release_memory(self.device)  # of an engine that failed, for one
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.geometry = model.geometry
        self.model_name, self.fingerprint = model.config.name, fingerprint
        self.buckets = checked_buckets(buckets, self.device)
        self.max_batch = self.buckets[-1]
        self.scope = scope
        kept = EngineCache(cache or default_root())
        spec = CompileSpec(self.model, fingerprint, self.device, self.buckets, slots, scope, dtype, kept, progress)
        self.compiled, choice = choose(backend, self.device, partial(_compile, spec))
        self.backend, self.fallbacks = choice.name, choice.passed_over
        self.backend_version = self.compiled.backend.version
        self.dtype, self.bank = self.compiled.dtype, self.compiled.bank
        self._lean = lean
        self.classifier: Classifier | None = None
        """To be set once it is warmed up, at any time."""
        for line in self.fallbacks:
            log.warning("backend passed over: %s", line)
        log.info("%s (%s) in %s on %s: %s", self.backend, self.backend_version, self.dtype, self.device, choice.why)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        slots: int = 64,
        buckets: Sequence[int] | None = None,
        backend: str = AUTO,
        device: str = "cpu",
        scope: Scope = Scope.ANSWER,
        dtype: torch.dtype | None = None,
        cache: Path | None = None,
        progress: Progress = lambda line: None,
        lean: bool = False,
    ) -> Self:
        """From a model directory; raises CheckpointError or EngineError.

        `dtype` None is the backend's own choice. Compiled engines are kept in `cache`, by default in
        `~/.cache/vtv/engines`. `progress` is told what is being made, as it may take minutes.
        """
        progress("reading the model")
        model, mark = load_model(path)
        return cls(
            model,
            mark,
            slots=slots,
            buckets=buckets,
            backend=backend,
            device=device,
            scope=scope,
            dtype=dtype,
            cache=cache,
            progress=progress,
            lean=lean,
        )

    @property
    def capture_report(self) -> list[Captured]:
        """Capture time and memory of every CUDA graph; empty on a CPU."""
        return self.compiled.report

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        """Install a task in place; the next batch sees it. Raises ModelMismatch, EngineError."""
        if isinstance(content, Head):
            self._tower().write_slot(slot, content)
        else:
            self.check_vector(content)
            self.compiled.install(slot, content)

    def check_vector(self, vector: TaskVector) -> None:
        """Raises ModelMismatch for a task vector of another model."""
        vector.check(self.model.config.mae, self.model.program("zero_shot"), self.fingerprint)

    @property
    def in_flight(self) -> int:
        """How many batches may be submitted and not collected: two on a GPU; a CPU computes while it submits."""
        return batches_in_flight(self.device)

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int] = ()) -> Pending:
        """Start a batch; a GPU computes it while the host prepares the next. `result()` of what is returned gives
        the answers uint8 [B,cell,cell,3]. `pixels` may be reused at once.

        zero_shot: query tiles uint8 [B,tile,tile,3] and a slot for each row. one_shot: canvases uint8 [B,S,S,3]
        whose answer is empty; no slots. classify: as `Classifier.submit`. Raises EngineError for other shapes, and
        beyond `in_flight` batches.
        """
        if program == "classify":
            return self._tower().submit(pixels, slots)
        if program == "one_shot":
            self._check(pixels, self.geometry.image_size)
            return self.compiled.runners[program].submit(pixels, ())
        self._check(pixels, self.geometry.tile)
        if len(slots) != len(pixels):
            raise EngineError(f"{len(pixels)} tiles need as many slots, not {len(slots)}")
        if not all(0 <= slot < self.bank.slots for slot in slots):
            raise EngineError(f"slots are 0..{self.bank.slots - 1}, not {sorted(set(slots))}")
        return self.compiled.runners[program].submit(pixels, slots)

    def zero_shot(self, tiles: Pixels, slots: Sequence[int]) -> Pixels:
        """Query tiles uint8 [B,tile,tile,3], a slot for each row -> answers uint8 [B,cell,cell,3]."""
        return self.submit("zero_shot", tiles, slots).result()

    def one_shot(self, canvases: Pixels) -> Pixels:
        """Canvases uint8 [B,S,S,3] whose answer is empty -> answers uint8 [B,cell,cell,3]."""
        return self.submit("one_shot", canvases).result()

    def bucket_for(self, batch: int) -> int:
        """The smallest batch size that holds `batch` rows."""
        return bucket_for(self.buckets, batch)

    def warm_up(self) -> None:
        """Make every bucket of both programs ready and check it against float32 eager; raises EngineError."""
        self.compiled.prepare()
        self.compiled.check(("zero_shot", "one_shot"), self.buckets)
        if self._lean:
            self.compiled.rest()

    def _tower(self) -> Classifier:
        if self.classifier is None:
            raise EngineError("this engine has no image tower: it does not classify")
        return self.classifier

    def _check(self, pixels: Pixels, side: int) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3) or not len(pixels):
            raise EngineError(f"input must be uint8 [B,{side},{side},3], not {pixels.dtype} {list(pixels.shape)}")


def checked_device(name: str) -> torch.device:
    """Raises EngineError where no engine runs on it, or it is not here."""
    device = torch.device(name)
    if device.type not in DEFAULT_BUCKETS:
        raise EngineError(f"an engine runs on cpu or cuda, not on {name}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError("no CUDA device is to be seen: check the driver, or run on cpu")
    return device


def checked_buckets(buckets: Sequence[int] | None, device: torch.device) -> tuple[int, ...]:
    """Ascending, each once; the device's own where none are asked for. Raises EngineError."""
    found = tuple(sorted(set(buckets or DEFAULT_BUCKETS[device.type])))
    if found[0] < 1:
        raise EngineError(f"buckets are batch sizes from 1 on, not {found[0]}")
    return found


def batches_in_flight(device: torch.device) -> int:
    """Two on a GPU, which computes one while the host prepares the other."""
    return IN_FLIGHT if device.type == "cuda" else 1


def _compile(spec: CompileSpec, backend: Backend) -> CompiledEngine:
    if spec.device.type != "cuda":
        return CompiledEngine(spec, backend)
    with torch.cuda.device(spec.device):
        return CompiledEngine(spec, backend, CudaDevice(spec.device))
