"""Pruning: the fewest variables that do as well, within a stated tolerance."""

from collections.abc import Callable

import torch
from torch import Tensor


def prune(losses: Callable[[Tensor], Tensor], chosen: Tensor, tolerance: float) -> Tensor:
    """Switch off what a mask [n] of zeros and ones can do without.

    `losses` scores masks [K,n] -> [K], lower is better. Its value for the result is at most that for `chosen`
    plus `tolerance` times its size, and no single variable more could go. Backward elimination: those that
    matter least alone leave together, as many as the bound allows when their number is halved until it does.
    """
    kept = chosen.clone()
    start = losses(kept[None])[0]
    bound = start + tolerance * start.abs()
    while kept.any():
        on = kept.nonzero()[:, 0]
        alone = losses(_without_each(kept, on))
        if not bool(alone.min() <= bound):
            break
        order = on[alone.argsort()]
        count = len(order)
        while count > 1 and not bool(losses(_without(kept, order[:count])[None])[0] <= bound):
            count //= 2
        kept = _without(kept, order[:count])
    return kept


def _without(mask: Tensor, variables: Tensor) -> Tensor:
    out = mask.clone()
    out[variables] = 0
    return out


def _without_each(mask: Tensor, variables: Tensor) -> Tensor:
    out = mask.repeat(len(variables), 1)
    out[torch.arange(len(variables)), variables] = 0
    return out
