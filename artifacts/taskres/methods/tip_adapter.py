"""Tip-Adapter and Tip-Adapter-F (Zhang et al., ECCV 2022): a cache of the shots beside the base.

Logits are exp(s) cos(f, t) + alpha exp(-beta (1 - cos(f, k))) v, of keys k, the shots' features, and their classes v.
Tip-Adapter-F trains the keys: AdamW at 1e-3 with eps 1e-4, a cosine over 20 epochs of batches of 256, as published.
Alpha and beta are chosen on validation pictures, over the published grid.
"""

from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from artifacts.taskres.labelled_features import FewShots
from artifacts.taskres.learner import drawn_batches
from artifacts.taskres.methods.classifier import Classifier, best_on_validation
from engine.classification.head import logits, unit

MOST_ALPHA, MOST_BETA, LEAST = 3.0, 7.0, 0.1
STEPS = 20
"""Along both sides of the grid; the published one has 200 along beta."""
RATE, EPSILON, EPOCHS, BATCH = 1e-3, 1e-4, 20, 256


@dataclass(frozen=True)
class Cache:
    """`keys` [N,D] of norm 1 and their classes' `values` [N,K], beside a base [K,D]."""

    keys: Tensor
    values: Tensor
    base: Tensor
    scale: float
    alpha: float = 1.0
    beta: float = 1.0

    def __call__(self, features: Tensor) -> Tensor:
        """Logits [B,K]."""
        near = torch.exp(-self.beta * (1 - unit(features) @ self.keys.T))
        return logits(features, self.base, self.scale) + self.alpha * (near @ self.values)


def tip_adapter(shots: FewShots, base: Tensor, scale: float) -> Classifier:
    """Without training."""
    return _chosen(_cache(shots, base, scale), shots)


def tip_adapter_f(shots: FewShots, base: Tensor, scale: float, seed: int) -> Classifier:
    """With trained keys."""
    start = _cache(shots, base, scale)
    keys = start.keys.clone().requires_grad_()
    cache, train = replace(start, keys=keys), shots.train
    optimizer = torch.optim.AdamW([keys], lr=RATE, eps=EPSILON)
    batches = list(drawn_batches(len(train), BATCH, EPOCHS, seed))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, sum(map(len, batches)))
    for rows in (rows for epoch in batches for rows in epoch):
        optimizer.zero_grad()
        cross_entropy(cache(train.features[rows]), train.labels[rows]).backward()
        optimizer.step()
        schedule.step()
    return _chosen(replace(cache, keys=keys.detach()), shots)


def _cache(shots: FewShots, base: Tensor, scale: float) -> Cache:
    """A picture's key is the mean over its views."""
    keys = unit(torch.stack([unit(own.features) for own in shots.passes]).mean(0))
    return Cache(keys, one_hot(shots.labels, len(base)).float(), base, scale)


def _chosen(cache: Cache, shots: FewShots) -> Cache:
    grid = product(torch.linspace(LEAST, MOST_ALPHA, STEPS).tolist(), torch.linspace(LEAST, MOST_BETA, STEPS).tolist())
    candidates = [replace(cache, alpha=alpha, beta=beta) for alpha, beta in grid]
    return best_on_validation(candidates, lambda own: own, shots.validation)
