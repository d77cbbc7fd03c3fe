"""Deep supervision: the encoder's query tokens are asked for the query's mask, whatever the task of the prompt.

A linear map of each token, thrown away after training, is drawn to the share of foreground in cells of its patch, by
binary cross-entropy and soft IoU. So every query whose foreground is known teaches what stands out, not only those
whose answer is a mask; the decoder has but to read it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.geometry import Geometry, Quadrant

CELL = 4
"""Side, in pixels, of what the foreground is compared in."""


class Foreground(nn.Module):
    """How badly a linear map of tokens [B,P,width] says where the foreground is."""

    def __init__(self, geometry: Geometry, width: int) -> None:
        super().__init__()
        self.geometry = geometry
        self.map = nn.Linear(width, (geometry.patch_size // CELL) ** 2)

    def forward(self, tokens: Tensor, masks: Tensor) -> Tensor:
        """Mean over rows of cross-entropy plus one minus the soft IoU; masks [B,1,cell,cell] in [0, 1]."""
        truth = self._shares(masks)
        logits = self.map(tokens).float().flatten(1)
        found = torch.sigmoid(logits)
        both = (found * truth).sum(1)
        overlap = both / (found.sum(1) + truth.sum(1) - both).clamp(min=1)
        return F.binary_cross_entropy_with_logits(logits, truth) + (1 - overlap).mean()

    def _shares(self, masks: Tensor) -> Tensor:
        """The share of foreground by patch and cell, [B,P*cells], of the query's tile."""
        tiles = masks.new_zeros(len(masks), 1, self.geometry.tile, self.geometry.tile)
        ys, xs = self.geometry.cell_in_tile(Quadrant.QUERY)
        tiles[..., ys, xs] = masks
        side = self.geometry.patch_size // CELL
        return F.unfold(F.avg_pool2d(tiles, CELL), side, stride=side).transpose(1, 2).flatten(1)
