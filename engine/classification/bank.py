"""The bank of heads: every resident classifier in one tensor of fixed address."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.classification.head import UNIT_TOLERANCE, Head, scores
from engine.errors import EngineError, ModelMismatch

Copy = Callable[[Tensor, Tensor], object]


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


class HeadBank:
    """Heads of one tower in `slots` rows; slot 0 holds none, as in the bank of task vectors.

    `matrix` float32 [S,C,D]: a head of K classes fills the first K of its slot's C rows, the rest is never read. So
    the memory of rows that no head fills is never touched, and on a CPU never taken.
    Installs are in-place copies: the tensor keeps its address for as long as the bank lives.
    """

    def __init__(self, tower: str, slots: int, classes: int, width: int, device: torch.device) -> None:
        if slots < 2 or classes < 1:
            raise EngineError(f"a bank needs at least 2 slots and 1 class, not {slots} and {classes}")
        self.tower, self.slots = tower, slots
        self.matrix = torch.empty(slots, classes, width, device=device)
        self.scale = [0.0] * slots
        self.labels: list[tuple[str, ...]] = [()] * slots
        self._address = self.matrix.data_ptr()

    def write(self, slot: int, head: Head, copy: Copy = _copy) -> None:
        """Copy a head into a slot other than 0, by `copy(target, source)`; raises EngineError, ModelMismatch."""
        self._check_slot(slot)
        if head.tower != self.tower:
            raise ModelMismatch(f"a head of tower {head.tower[:12]} does not fit features of tower {self.tower[:12]}")
        classes, width = head.matrix.shape
        if classes > self.matrix.shape[1] or width != self.matrix.shape[2]:
            most, wide = self.matrix.shape[1:]
            raise EngineError(f"a head {classes}x{width} does not fit a bank of {most}x{wide} a slot")
        copy(self.matrix[slot, :classes], head.matrix)
        self.scale[slot], self.labels[slot] = head.scale, head.labels

    def clear(self, slot: int) -> None:
        """Make a slot other than 0 empty again."""
        self._check_slot(slot)
        self.scale[slot], self.labels[slot] = 0.0, ()

    def scores(self, features: Tensor, slots: Sequence[int]) -> list[Tensor]:
        """Softmax scores [K of its slot] of each row of features [B,D]; raises EngineError for an empty slot.

        One matrix product for each slot in the batch: to gather a matrix for every row would move B K D numbers
        before the first multiplication. A row whose feature is zero or not finite gets NaN, the others do not.
        """
        if len(features) != len(slots):
            raise EngineError(f"{len(features)} features do not fit {len(slots)} slots")
        found: list[Tensor | None] = [None] * len(slots)
        for slot in sorted(set(slots)):
            rows = [row for row, own in enumerate(slots) if own == slot]
            for row, own in zip(rows, scores(features[rows], self._head(slot), self.scale[slot]), strict=True):
                found[row] = own
        return [own for own in found if own is not None]

    def check_integrity(self) -> None:
        """Raise EngineError unless the tensor is where it was and every resident row is finite and of norm 1.

        Reads the resident part of the bank, and on a GPU waits for it: for when the engine is idle.
        """
        if self._address != self.matrix.data_ptr():
            raise EngineError("the bank of heads has moved: compiled engines read another address")
        for slot in (slot for slot in range(self.slots) if self.labels[slot]):
            if not bool(((self._head(slot).norm(dim=1) - 1).abs() <= UNIT_TOLERANCE).all()):
                raise EngineError(f"slot {slot} of the bank of heads holds rows that are not finite and of norm 1")

    def _head(self, slot: int) -> Tensor:
        self._check_slot(slot)
        if not self.labels[slot]:
            raise EngineError(f"slot {slot} of the bank of heads is empty")
        return self.matrix[slot, : len(self.labels[slot])]

    def _check_slot(self, slot: int) -> None:
        if not 0 < slot < self.slots:
            raise EngineError(f"slot {slot} is not one of 1..{self.slots - 1}")
