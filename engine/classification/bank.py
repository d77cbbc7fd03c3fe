"""The bank of heads: every resident classifier in tensors of fixed address."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import torch
from torch import Tensor

from engine.bank import Copy, copy_pairs
from engine.classification.head import UNIT_TOLERANCE, Head, unit
from engine.errors import EngineError, ModelMismatch

_WORTH_A_THREAD: Final = 1 << 20
"""Bytes of heads that take about as long to read as a thread to wake."""


class HeadBank:
    """Heads of one tower in `slots` rows; slot 0 holds none, as in the bank of task vectors.

    `matrix` float32 [S,C,D], `scale` float32 [S], `classes` int64 [S]: a head of K classes fills the first K of its
    slot's C rows, the rest means nothing. On a CPU the memory of rows that no head fills is never touched, and so
    never taken. Installs are in-place copies: the tensors keep their addresses for as long as the bank lives.
    """

    def __init__(
        self, tower: str, slots: int, classes: int, width: int, device: torch.device, threads: int = 1
    ) -> None:
        """`threads`: on how many the heads of a batch are read. One core alone cannot read at the memory's pace."""
        if slots < 2 or classes < 1:
            raise EngineError(f"a bank needs at least 2 slots and 1 class, not {slots} and {classes}")
        self.tower, self.slots = tower, slots
        self.matrix = torch.empty(slots, classes, width, device=device)
        self.scale = torch.zeros(slots, device=device)
        self.classes = torch.zeros(slots, dtype=torch.int64, device=device)
        self._threads = threads
        # None is started before there is work. Each computes alone, else its own helpers would take the others' cores.
        self._helpers = ThreadPoolExecutor(max(1, threads - 1), "heads", torch.set_num_threads, (1,))
        self._addresses = [tensor.data_ptr() for tensor in self.tensors()]

    def tensors(self) -> tuple[Tensor, ...]:
        """In the order that the network takes them."""
        return self.matrix, self.scale, self.classes

    @property
    def row_bytes(self) -> int:
        """Of the largest head."""
        return sum(tensor[0].numel() * tensor.element_size() for tensor in self.tensors())

    def write(self, slot: int, head: Head, copy: Copy = copy_pairs) -> None:
        """Copy a head into a slot other than 0; raises EngineError, ModelMismatch."""
        self._check_slot(slot)
        if head.tower != self.tower:
            raise ModelMismatch(f"a head of tower {head.tower[:12]} does not fit features of tower {self.tower[:12]}")
        classes, width = head.matrix.shape
        if classes > self.matrix.shape[1] or width != self.matrix.shape[2]:
            most, wide = self.matrix.shape[1:]
            raise EngineError(f"a head {classes}x{width} does not fit a bank of {most}x{wide} a slot")
        copy(
            [
                (self.matrix[slot, :classes], head.matrix),
                (self.scale[slot : slot + 1], torch.tensor([head.scale])),
                (self.classes[slot : slot + 1], torch.tensor([classes])),
            ]
        )

    def clear(self, slot: int) -> None:
        """Make a slot other than 0 empty again."""
        self._check_slot(slot)
        self.scale[slot], self.classes[slot] = 0.0, 0

    def scores(self, features: Tensor, slots: Sequence[int]) -> Tensor:
        """Softmax scores [B,C] of features [B,D], 0 beyond the classes of a row's slot; raises EngineError for an
        empty slot.

        One matrix product for each slot in the batch: to gather a matrix for every row would move B K D numbers
        before the first multiplication. A row whose feature is zero or not finite gets NaN, the others do not.
        """
        if len(features) != len(slots):
            raise EngineError(f"{len(features)} features do not fit {len(slots)} slots")
        turned = unit(features)
        logits = features.new_full((len(slots), self.matrix.shape[1]), float("-inf"))
        first, *rest = self._parts([(slot, self._head(slot)) for slot in sorted(set(slots))])
        others = [self._helpers.submit(_fill, logits, turned, slots, part) for part in rest]
        _fill(logits, turned, slots, first)
        for other in others:
            other.result()
        return torch.softmax(logits.mul_(self.scale[list(slots), None]), dim=-1)

    def _parts(self, heads: Sequence[tuple[int, Tensor]]) -> list[Sequence[tuple[int, Tensor]]]:
        """The heads of a batch by thread, one thread for few bytes."""
        held = sum(head.nbytes for _, head in heads)
        threads = max(1, min(self._threads, len(heads), held // _WORTH_A_THREAD))
        return [heads[first::threads] for first in range(threads)]

    def check_integrity(self) -> None:
        """Raise EngineError unless no tensor has moved and every resident row is finite and of norm 1.

        Reads the resident part of the bank, and on a GPU waits for it: for when the engine is idle.
        """
        if self._addresses != [tensor.data_ptr() for tensor in self.tensors()]:
            raise EngineError("the bank of heads has moved: compiled engines read another address")
        if int(self.classes[0]):
            raise EngineError("slot 0 of the bank of heads is no longer empty")
        for slot in (slot for slot in range(1, self.slots) if int(self.classes[slot])):
            if not bool(((self._head(slot).norm(dim=1) - 1).abs() <= UNIT_TOLERANCE).all()):
                raise EngineError(f"slot {slot} of the bank of heads holds rows that are not finite and of norm 1")

    def _head(self, slot: int) -> Tensor:
        self._check_slot(slot)
        if not (classes := int(self.classes[slot])):
            raise EngineError(f"slot {slot} of the bank of heads is empty")
        return self.matrix[slot, :classes]

    def _check_slot(self, slot: int) -> None:
        if not 0 < slot < self.slots:
            raise EngineError(f"slot {slot} is not one of 1..{self.slots - 1}")


@torch.inference_mode()  # which holds for one thread
def _fill(logits: Tensor, turned: Tensor, slots: Sequence[int], heads: Sequence[tuple[int, Tensor]]) -> None:
    for slot, head in heads:
        rows = [row for row, held in enumerate(slots) if held == slot]
        if len(rows) == 1:
            torch.mv(head, turned[rows[0]], out=logits[rows[0], : len(head)])
        else:
            logits[rows, : len(head)] = turned[rows] @ head.T
