"""The search's estimator: REINFORCE over independent on/off variables.

Visual task vectors are found by a policy that switches each variable on with its own probability; images
are scored, and the score's gradient is estimated from samples (Williams, Machine Learning 8, 1992; Hojel et
al., Finding Visual Task Vectors, ECCV 2024).
"""

import torch
from torch import Tensor

PROBABILITY_MARGIN = 1e-6
"""Probabilities stay this far from 0 and 1; beyond, a variable's gradient is exactly zero."""
SPREAD_MARGIN = 1e-6


def probabilities(logits: Tensor) -> Tensor:
    """Logits of any shape -> clamped probabilities of being on."""
    return logits.sigmoid().clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)


def reinforce_loss(
    logits: Tensor, samples: Tensor, losses: Tensor, regularisation: float = 0.0, groups: Tensor | None = None
) -> Tensor:
    """The scalar whose gradient with respect to the logits is the REINFORCE estimate; minimise it.

    `logits` [n]; `samples` [B,n] of zeros and ones, drawn from them; `losses` [B], what each sample cost (an
    IoU enters negated). A sample's log-probability is the mean over variables, so that the step does not
    depend on their number. Losses are standardised over the batch (unbiased deviation): a baseline and a
    scale. With `groups` [B] int64, the task of each sample, they are standardised inside each group first, so
    that no task's scale outweighs another's, and then all together. `regularisation` times the mean
    probability is added: it favours fewer switched sites.
    """
    chance = probabilities(logits)
    log_probability = torch.where(samples > 0.5, chance.log(), torch.log1p(-chance)).mean(1)
    losses = losses.detach()
    if groups is not None:
        losses = standardise_groups(losses, groups)
    return (log_probability * standardise(losses)).mean() + regularisation * chance.mean()


def standardise(losses: Tensor) -> Tensor:
    """[B] -> zero mean and, but for a small margin, unit deviation (B > 1)."""
    return (losses - losses.mean()) / (losses.std() + SPREAD_MARGIN)


def standardise_groups(losses: Tensor, groups: Tensor) -> Tensor:
    """Standardise [B] inside each group of `groups` [B]."""
    out = torch.empty_like(losses)
    for group in set(groups.tolist()):
        inside = groups == group
        out[inside] = standardise(losses[inside])
    return out
