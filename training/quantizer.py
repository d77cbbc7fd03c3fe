"""Vector quantisation with an averaged codebook (van den Oord et al., 2017, appendix A.1), over all workers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.workers import Workers

DECAY = 0.99
DEAD_BELOW = 0.03  # average uses a batch under which a code is restarted


class AveragedCodebook(nn.Module):
    """Codes [codes,width] as running means of the latents that chose them."""

    def __init__(self, codes: int, width: int, workers: Workers) -> None:
        super().__init__()
        self.workers = workers
        self.register_buffer("table", torch.zeros(codes, width))
        self.register_buffer("uses", torch.ones(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    table: Tensor
    uses: Tensor
    sums: Tensor

    def nearest(self, flat: Tensor) -> Tensor:
        """Index [M] of the nearest code of each latent [M,width]."""
        return ((self.table**2).sum(1) - 2 * flat @ self.table.T).argmin(1)

    @torch.no_grad()
    def k_means(self, flat: Tensor, rounds: int = 12) -> None:
        """Start from k-means over the lead's latents [M,width], M several times the number of codes."""
        start = torch.randperm(len(flat))[: len(self.table)]
        self.table.copy_(self.workers.from_lead(flat[start].clone()))
        for _ in range(rounds):
            counts, sums = self._totals(flat, self.nearest(flat))
            self.table.copy_(torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], self.table))
        self.uses.copy_(counts.clamp(min=1))
        self.sums.copy_(self.table * self.uses[:, None])

    @torch.no_grad()
    def learn(self, flat: Tensor, index: Tensor) -> int:
        """Move the codes towards the latents that chose them, restart dead ones; returns how many were."""
        counts, sums = self._totals(flat, index)
        self.uses.lerp_(counts, 1 - DECAY)
        self.sums.lerp_(sums, 1 - DECAY)
        dead = self.uses < DEAD_BELOW
        fresh = self.workers.from_lead(flat[torch.randint(0, len(flat), (len(self.table),))].clone())
        self.uses[dead] = 1.0
        self.sums[dead] = fresh[dead]
        self.table.copy_(self.sums / self.uses[:, None])
        return int(dead.sum())

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents [B,width,h,w] -> straight-through codes [B,width,h,w], indices [M], commitment loss."""
        flat = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        index = self.nearest(flat.detach())
        codes = self.table[index].view(latents.shape[0], *latents.shape[2:], -1).permute(0, 3, 1, 2)
        return latents + (codes - latents).detach(), index, F.mse_loss(latents, codes)

    def _totals(self, flat: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        counts = torch.bincount(index, minlength=len(self.table)).float()
        sums = torch.zeros_like(self.table).index_add_(0, index, flat.float())
        return self.workers.sum_(counts), self.workers.sum_(sums)
