"""The engine: uint8 in, uint8 out, any mix of tasks in one batch."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from engine.backends.choice import AUTO, BACKENDS, choose
from engine.cache import EngineCache, default_root
from engine.checkpoint import load_model
from engine.compiled_engine import CompiledEngine, CompileSpec
from engine.cuda_graphs import IN_FLIGHT, Captured
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.program import ProgramName, Scope
from engine.runner import Pending, bucket_for
from engine.task_vector import TaskVector
from engine.tolerance import TOLERANCE, psnr

__all__ = ["BACKENDS", "DEFAULT_BUCKETS", "Engine"]

log: Final = logging.getLogger("vtv.engine")
DEFAULT_BUCKETS: Final = {"cpu": (1, 2, 4, 8), "cuda": (1, 2, 4, 8, 16, 32)}
"""On a CPU an image costs the same in any batch from 4 on; larger ones only wait longer for each other."""


class Engine:
    """A frozen model, its bank, and the two programs over fixed batch sizes.

    Not thread-safe: one thread owns it. `buckets` are the batch sizes that run; others are padded up with
    slot 0, and the padding never leaves. `backend` is the name of what runs; where `auto` had to pass over a
    better one, `fallbacks` says "NAME: why" for each.
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
    ) -> None:
        self.device = torch.device(device)
        if self.device.type not in DEFAULT_BUCKETS:
            raise EngineError(f"an engine runs on cpu or cuda, not on {device}")
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise EngineError("no CUDA device is to be seen: check the driver, or run on cpu")
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.geometry = model.geometry
        self.model_name, self.fingerprint = model.config.name, fingerprint
        self.buckets = tuple(sorted(set(buckets or DEFAULT_BUCKETS[self.device.type])))
        if self.buckets[0] < 1:
            raise EngineError(f"buckets are batch sizes from 1 on, not {self.buckets[0]}")
        self.max_batch = self.buckets[-1]
        self.scope = scope
        kept = EngineCache(cache or default_root())
        spec = CompileSpec(self.model, fingerprint, self.device, self.buckets, slots, scope, dtype, kept)
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            self.compiled, choice = choose(backend, self.device, lambda candidate: CompiledEngine(spec, candidate))
        self.backend, self.fallbacks = choice.name, choice.passed_over
        self.dtype, self.bank = self.compiled.dtype, self.compiled.bank
        for line in self.fallbacks:
            log.warning("backend passed over: %s", line)
        log.info("%s in %s on %s: %s", self.backend, self.dtype, self.device, choice.why)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        slots: int = 64,
        buckets: Sequence[int] | None = None,
        backend: str = AUTO,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        cache: Path | None = None,
    ) -> Self:
        """From a model directory; raises CheckpointError or EngineError.

        `dtype` None is the backend's own choice. Compiled engines are kept in `cache`, by default in
        `~/.cache/vtv/engines`.
        """
        model, mark = load_model(path)
        return cls(
            model, mark, slots=slots, buckets=buckets, backend=backend, device=device, dtype=dtype, cache=cache
        )

    @property
    def capture_report(self) -> list[Captured]:
        """Capture time and memory of every CUDA graph; empty on a CPU."""
        return self.compiled.report

    def write_slot(self, slot: int, vector: TaskVector) -> None:
        """Install a task vector in place; the next batch sees it. Raises ModelMismatch."""
        vector.check(self.model.config.mae, self.model.program("zero_shot"), self.fingerprint)
        self.compiled.install(slot, vector)

    @property
    def in_flight(self) -> int:
        """How many batches may be submitted and not collected: two on a GPU; a CPU computes while it submits."""
        return IN_FLIGHT if self.device.type == "cuda" else 1

    def submit(self, program: ProgramName, pixels: Pixels, slots: Sequence[int] = ()) -> Pending:
        """Start a batch; a GPU computes it while the host prepares the next. `result()` of what is returned gives
        the answers uint8 [B,cell,cell,3]. `pixels` may be reused at once.

        zero_shot: query tiles uint8 [B,tile,tile,3] and a slot for each row. one_shot: canvases uint8 [B,S,S,3]
        whose answer is empty; no slots. Raises EngineError for other shapes, and beyond `in_flight` batches.
        """
        if program == "one_shot":
            self._check(pixels, self.geometry.image_size)
            return self.compiled.one_shot.submit(pixels, ())
        self._check(pixels, self.geometry.tile)
        if len(slots) != len(pixels):
            raise EngineError(f"{len(pixels)} tiles need as many slots, not {len(slots)}")
        if not all(0 <= slot < self.bank.slots for slot in slots):
            raise EngineError(f"slots are 0..{self.bank.slots - 1}, not {sorted(set(slots))}")
        return self.compiled.zero_shot.submit(pixels, slots)

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
        """Run every bucket of both programs and check that rows agree with a batch of one; raises EngineError."""
        self.compiled.prepare()
        for side, run in (
            (self.geometry.tile, lambda rows: self.zero_shot(rows, [0] * len(rows))),
            (self.geometry.image_size, self.one_shot),
        ):
            ramp = np.linspace(0, 255, side, dtype=np.uint8)[None, :, None]
            first = run(np.broadcast_to(ramp, (1, side, side, 3)))
            for bucket in self.buckets:
                rows = run(np.broadcast_to(ramp, (bucket, side, side, 3)))
                if not psnr(rows, np.broadcast_to(first, rows.shape)) >= TOLERANCE[self.dtype].psnr:
                    raise EngineError(f"self-check failed: a batch of {bucket} does not answer as a batch of one")

    def _check(self, pixels: Pixels, side: int) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3) or not len(pixels):
            raise EngineError(f"input must be uint8 [B,{side},{side},3], not {pixels.dtype} {list(pixels.shape)}")
