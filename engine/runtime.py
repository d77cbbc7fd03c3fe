"""The engine: uint8 in, uint8 out, any mix of tasks in one batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.bank import Bank
from engine.checkpoint import load_model
from engine.errors import EngineError
from engine.model import MaeVqgan
from engine.overrides import write_slots
from engine.program import Scope
from engine.task_vector import AnswerSettings, TaskVector

Pixels = NDArray[np.uint8]
DEFAULT_BUCKETS = (1, 2, 4, 8, 16)
BACKENDS = ("auto", "eager")


class Engine:
    """A frozen model, its bank, and the two programs over fixed batch sizes.

    Not thread-safe: one thread owns it. `buckets` are the batch sizes that run; others are padded up with
    slot 0, and the padding never leaves.
    """

    def __init__(
        self,
        model: MaeVqgan,
        fingerprint: str,
        *,
        slots: int = 64,
        buckets: Sequence[int] | None = None,
        backend: str = "auto",
        device: str = "cpu",
        scope: Scope = Scope.ANSWER,
    ) -> None:
        if backend not in BACKENDS:
            raise EngineError(f"backend {backend!r} is not available; choose one of {', '.join(BACKENDS)}")
        self.device = torch.device(device)
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.geometry = model.geometry
        self.model_name, self.fingerprint = model.config.name, fingerprint
        self.backend, self.scope = "eager", scope
        self.buckets = tuple(sorted(set(buckets or DEFAULT_BUCKETS)))
        self.max_batch = self.buckets[-1]
        self.bank = Bank(model.config.mae, model.program("zero_shot"), slots, self.device)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        slots: int = 64,
        buckets: Sequence[int] | None = None,
        backend: str = "auto",
        device: str = "cpu",
    ) -> Self:
        """From a model directory; raises CheckpointError or EngineError."""
        model, mark = load_model(path)
        return cls(model, mark, slots=slots, buckets=buckets, backend=backend, device=device)

    def write_slot(self, slot: int, vector: TaskVector) -> None:
        """Install a task vector in place; the next batch sees it. Raises ModelMismatch."""
        vector.check(self.model.config.mae, self.model.program("zero_shot"), self.fingerprint)
        self.bank.write(slot, vector)

    def zero_shot(self, tiles: Pixels, slots: Sequence[int]) -> Pixels:
        """Query tiles uint8 [B,tile,tile,3], a slot for each row -> answers uint8 [B,cell,cell,3]."""
        self._check(tiles, self.geometry.tile)
        if len(slots) != len(tiles):
            raise EngineError(f"{len(tiles)} tiles need as many slots, not {len(slots)}")
        bucket = self.bucket_for(len(tiles))
        slot = np.zeros(bucket, np.int64)
        slot[: len(slots)] = slots
        inputs = torch.from_numpy(_padded(tiles, bucket)).to(self.device)
        answers = zero_shot(self.model, inputs, torch.from_numpy(slot).to(self.device), self.bank.tensors(), self.scope)
        return _to_numpy(answers)[: len(tiles)]

    def one_shot(self, canvases: Pixels) -> Pixels:
        """Canvases uint8 [B,S,S,3] whose answer is empty -> answers uint8 [B,cell,cell,3]."""
        self._check(canvases, self.geometry.image_size)
        inputs = torch.from_numpy(_padded(canvases, self.bucket_for(len(canvases)))).to(self.device)
        return _to_numpy(one_shot(self.model, inputs, self.scope))[: len(canvases)]

    def bucket_for(self, batch: int) -> int:
        """The smallest batch size that holds `batch` rows."""
        for bucket in self.buckets:
            if bucket >= batch:
                return bucket
        raise EngineError(f"a batch holds at most {self.max_batch} rows, not {batch}")

    def warm_up(self) -> None:
        """Run every bucket and check that rows agree with a batch of one; raises EngineError."""
        size = self.geometry.tile
        ramp = np.linspace(0, 255, size, dtype=np.uint8)
        tile = np.broadcast_to(ramp[None, :, None], (size, size, 3))
        first = self.zero_shot(tile[None], [0])
        for bucket in self.buckets:
            rows = self.zero_shot(np.broadcast_to(tile, (bucket, size, size, 3)), [0] * bucket)
            if np.abs(rows.astype(int) - first).max() > 2:
                raise EngineError(f"self-check failed: a batch of {bucket} does not answer as a batch of one")

    def _check(self, pixels: Pixels, side: int) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3) or not len(pixels):
            raise EngineError(f"input must be uint8 [B,{side},{side},3], not {pixels.dtype} {list(pixels.shape)}")


@torch.inference_mode()
def zero_shot(model: MaeVqgan, tiles: Tensor, slot: Tensor, bank: tuple[Tensor, ...], scope: Scope) -> Tensor:
    """The zero-shot program: uint8 [B,T,T,3], slots int64 [B] and the bank's tensors -> uint8 [B,cell,cell,3]."""
    encoder_value, encoder_mask, decoder_value, decoder_mask, temperature = bank
    logits = model.logits(
        "zero_shot",
        model.normalise(_from_uint8(tiles)),
        write_slots(encoder_value, encoder_mask, slot),
        write_slots(decoder_value, decoder_mask, slot),
    )
    return _answer(model, "zero_shot", logits, temperature[slot], scope)


@torch.inference_mode()
def one_shot(model: MaeVqgan, canvases: Tensor, scope: Scope) -> Tensor:
    """The one-shot program: uint8 [B,S,S,3] -> uint8 [B,cell,cell,3]."""
    logits = model.logits("one_shot", model.normalise(_from_uint8(canvases)))
    temperature = torch.full((len(canvases),), AnswerSettings().temperature, device=canvases.device)
    return _answer(model, "one_shot", logits, temperature, scope)


def _answer(model: MaeVqgan, name: str, logits: Tensor, temperature: Tensor, scope: Scope) -> Tensor:
    decoded = model.decode(name, model.vectors(logits, temperature), scope)
    return (model.answer_cell(decoded) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def _from_uint8(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 255


def _padded(pixels: Pixels, bucket: int) -> Pixels:
    out = np.zeros((bucket, *pixels.shape[1:]), np.uint8)
    out[: len(pixels)] = pixels
    return out


def _to_numpy(answers: Tensor) -> Pixels:
    array: Pixels = answers.contiguous().cpu().numpy()
    return array
