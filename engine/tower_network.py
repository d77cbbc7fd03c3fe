"""A tower as backends compile it: alone, or with the bank of heads behind it."""

from typing import ClassVar, Final

import torch
from torch import Tensor

from engine.classification.head import unit
from engine.network import BATCH, SLOTS, Network, TensorSpec
from engine.towers.tower import Tower

BELOW_ALL: Final = float("-inf")


class TowerFeatures(Network):
    """Pictures uint8 [B,S,S,3] -> features float32 [B,D]: on a CPU, where heads are applied slot by slot afterwards."""

    name = "tower"
    inputs: ClassVar[tuple[str, ...]] = ("pixels",)
    output_dtype = torch.float32
    parts_per_thread = 2

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower, self.side, self.row = tower, tower.size, (tower.width,)

    def specs(self, bank_dtype: torch.dtype) -> tuple[TensorSpec, ...]:
        """Pixels alone."""
        return (TensorSpec("pixels", (BATCH, self.side, self.side, 3), torch.uint8),)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.tower(pixels)
        return features


class TowerScores(TowerFeatures):
    """Pictures uint8 [B,S,S,3], slots int64 [B], a bank of C classes a slot -> softmax scores float32 [B,C].

    For graphs that are captured: a head of K classes fills the first K scores, the others are 0. A matrix is gathered
    for each row, which a GPU does in less time than it takes to launch a product for each slot.
    """

    name = "classify"
    inputs = ("pixels", "slot", "matrix", "scale", "classes")

    def __init__(self, tower: Tower, classes: int) -> None:
        super().__init__(tower)
        self.row = (classes,)

    def specs(self, bank_dtype: torch.dtype) -> tuple[TensorSpec, ...]:
        """Pixels and slots, then the bank as `engine.classification.bank` lays it out."""
        return (
            *super().specs(bank_dtype),
            TensorSpec("slot", (BATCH,), torch.int64),
            TensorSpec("matrix", (SLOTS, *self.row, self.tower.width), torch.float32),
            TensorSpec("scale", (SLOTS,), torch.float32),
            TensorSpec("classes", (SLOTS,), torch.int64),
        )

    def forward(self, pixels: Tensor, slot: Tensor, matrix: Tensor, scale: Tensor, classes: Tensor) -> Tensor:  # type: ignore[override]
        features = unit(super().forward(pixels))
        cosines = torch.bmm(matrix.index_select(0, slot), features[..., None])[..., 0]
        logits = scale.index_select(0, slot)[:, None] * cosines
        column = torch.arange(self.row[0], device=logits.device)
        held = column[None] < classes.index_select(0, slot)[:, None]
        return torch.softmax(torch.where(held, logits, BELOW_ALL), dim=-1)
