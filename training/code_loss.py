"""What the MAE is trained to say: codes near the true one in the codebook count, softmax(-distance / temperature)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.geometry import Quadrant
from engine.model import MaeVqgan

RANDOM_VISIBLE = 0.25
TARGET_TEMPERATURE = 0.2  # in units of the codebook's mean squared nearest-neighbour distance


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over rows and places, of logits and soft targets [B,P,codes]."""
    return -(target * F.log_softmax(logits.float(), -1)).sum(-1).mean()


def codebook_scale(book: Tensor) -> Tensor:
    """Mean squared distance of a code [codes,width] to its nearest neighbour."""
    distance = torch.cdist(book, book).square().fill_diagonal_(float("inf"))
    return distance.min(1).values.mean().clamp(min=1e-6)  # all codes are alike at the very start


class CodeLoss:
    """Cross-entropy against a frozen tokenizer's codes."""

    def __init__(self, model: MaeVqgan) -> None:
        self.model = model
        self.scale = codebook_scale(model.vae.codebook.detach().float())

    def of_answers(self, logits: Tensor, canvases: Tensor) -> Tensor:
        """Logits [B,P,codes] of the answers' patches, and the solved canvases [B,3,S,S]."""
        rows, columns = self.model.geometry.tile_box(Quadrant.ANSWER)
        return cross_entropy(logits, self._targets(canvases[..., rows, columns]))

    def of_random(self, canvases: Tensor, generator: torch.Generator) -> Tensor:
        """Reconstruct three quarters of the patches from the rest; each quadrant has its own codes."""
        pixels, geometry = self.model.normalise(canvases), self.model.geometry
        batch, patches = len(pixels), geometry.patches
        keep = int(patches * RANDOM_VISIBLE)
        shuffled = torch.rand(batch, patches, generator=generator).argsort(1).to(pixels.device)
        visible, hidden = shuffled[:, :keep].sort(1).values, shuffled[:, keep:].sort(1).values
        order = torch.full((batch, patches + 1), keep + 1, device=pixels.device)
        order.scatter_(1, visible + 1, torch.arange(1, keep + 1, device=pixels.device).expand(batch, -1))
        order[:, 0] = 0
        embedded = self.model.mae.patch_embed(pixels)
        seen = embedded.gather(1, visible[..., None].expand(-1, -1, embedded.shape[2]))
        latent = self.model.mae.encode(self.model.mae.embed(seen, visible))
        everywhere = torch.arange(patches, device=pixels.device)
        logits = self.model.mae.decode(latent, order, everywhere)[:, 1:]
        target = self._canvas_targets(canvases)
        pick = hidden[..., None].expand(-1, -1, logits.shape[2])
        return cross_entropy(logits.gather(1, pick), target.gather(1, pick))

    @torch.no_grad()
    def _targets(self, tiles: Tensor) -> Tensor:
        """Tiles [B,3,T,T] in [0, 1] -> soft targets [B,half*half,codes]."""
        distance = self.model.vae.distances(self.model.vae.latents(tiles * 2 - 1))
        return torch.softmax(-distance / (TARGET_TEMPERATURE * self.scale), -1)

    def _canvas_targets(self, canvases: Tensor) -> Tensor:
        out = canvases.new_empty(len(canvases), self.model.geometry.patches, self.model.config.mae.codes)
        for quadrant, patches in zip(Quadrant, self.model.geometry.quadrant_patches, strict=True):
            rows, columns = self.model.geometry.tile_box(quadrant)
            out[:, list(patches)] = self._targets(canvases[..., rows, columns])
        return out
