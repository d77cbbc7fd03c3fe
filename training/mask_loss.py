"""How much of a mask the predicted codes get wrong: one minus the soft IoU, beside the codes' cross-entropy.

All codes that are not the true one cost the cross-entropy about the same, though some of them draw almost the same
mask. So each code is given the brightness that masks have, on average, where it is the true code, in cells of 4 px;
what the probabilities expect of it is a small mask, and its IoU with the true one is what the task is measured by.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.scenes import Scenes
from artifacts.tasks.views import View, mask
from engine.device import fast_autocast
from engine.geometry import Quadrant
from engine.model import MaeVqgan

CELL = 4
"""Side, in pixels, of what a mask is compared in."""
_MASKS, _BATCH = 1536, 64
_PRIOR = 4.0
"""Patches' worth of trust in what a code shows by itself."""


class MaskLoss:
    """One minus the soft IoU of masks, from the codes' logits."""

    def __init__(self, model: MaeVqgan, scenes: Scenes, pairs: list[tuple[View, View]]) -> None:
        self.model = model
        device = model.mean.device
        self.masked = torch.tensor([target is mask for _, target in pairs], device=device)
        self.brightness = self._brightness(scenes)

    def of_answers(self, logits: Tensor, canvases: Tensor, pair: Tensor) -> Tensor:
        """Mean over those rows whose pair [B] asks for a mask, else 0: logits [B,P,codes], canvases [B,3,S,S]."""
        rows = self.masked[pair]
        if not rows.any():
            return logits.new_zeros(())
        ys, xs = self.model.geometry.tile_box(Quadrant.ANSWER)
        truth = self._cells(canvases[rows][..., ys, xs])
        found = (torch.softmax(logits[rows].float(), -1) @ self.brightness).flatten(1)
        both = (found * truth).sum(1)
        return (1 - both / (found.sum(1) + truth.sum(1) - both).clamp(min=1)).mean()

    def _cells(self, tiles: Tensor) -> Tensor:
        """Tiles [B,3,T,T] -> brightness by patch and cell [B,P*cells]."""
        size = self.model.geometry.patch_size
        small = F.avg_pool2d(tiles[:, :1].float(), CELL)
        return F.unfold(small, size // CELL, stride=size // CELL).transpose(1, 2).flatten(1)

    @torch.no_grad()
    def _brightness(self, scenes: Scenes) -> Tensor:
        """What each code stands for in masks, [codes,cells]."""
        model, device = self.model, self.model.mean.device
        codes = model.config.mae.codes
        tile, cell = model.geometry.tile, model.geometry.cell
        cells = (model.geometry.patch_size // CELL) ** 2
        total = torch.zeros(codes, cells, device=device)
        count = torch.zeros(codes, device=device)
        ys, xs = model.geometry.cell_in_tile(Quadrant.ANSWER)
        for start in range(0, min(_MASKS, len(scenes)), _BATCH):
            masks = torch.from_numpy(scenes.masks[start : start + _BATCH].copy()).float()
            tiles = torch.ones(len(masks), 3, tile, tile)
            tiles[..., ys, xs] = masks[:, None].expand(-1, 3, cell, cell)
            tiles = tiles.to(device)
            with fast_autocast(device):
                found = model.vae.distances(model.vae.latents(tiles * 2 - 1)).argmin(-1).flatten()
            total.index_add_(0, found, self._cells(tiles).view(-1, cells))
            count.index_add_(0, found, torch.ones_like(found, dtype=count.dtype))
        return (total + _PRIOR * self._alone()) / (count + _PRIOR)[:, None]

    def _alone(self) -> Tensor:
        """The mean brightness of each code decoded among its likes, [codes,1]."""
        book = self.model.vae.codebook
        size = self.model.geometry.patch_size
        parts = []
        for some in book.split(_BATCH):
            with fast_autocast(book.device):
                shown = self.model.vae.decode_vectors(some[:, None].expand(-1, 9, -1), 3, 3)
            parts.append(shown[..., size : 2 * size, size : 2 * size].float().mean((1, 2, 3)))
        return torch.cat(parts)[:, None].clamp(0, 1)
