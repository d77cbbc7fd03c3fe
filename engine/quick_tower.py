"""A tower for processors that compute in bfloat16: more than twice as fast as in float32, and nearly as exact.

With every weight rounded to the nearest, EfficientNet-Lite0's features are 7 % off. Most of that is the filters of one
channel: such a filter's weights sum up to little, which rounding changes most, and what it sees is mostly even. Rounded
so that sums are kept, they leave features 4 % off.
"""

import copy
from typing import Final

import torch
from torch import Tensor, nn

from engine.tower_network import TowerFeatures
from engine.towers.tower import Tower

LARGEST_ERROR: Final = 0.2
"""How far a feature of norm 1 may be from float32 eager's; of 1,896 pictures the worst was 0.18."""


class QuickFeatures(TowerFeatures):
    """As `TowerFeatures`, with filters of one channel rounded for bfloat16."""

    name = "quick tower"

    def __init__(self, tower: Tower) -> None:
        super().__init__(copy.deepcopy(tower))
        for part in self.tower.modules():
            if isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1:
                part.weight.data = rounded(part.weight.data)


def rounded(filters: Tensor) -> Tensor:
    """Filters float32 [N,...] as bfloat16 holds them, each with its sum kept: weights are rounded from the largest
    down, each together with what those before it lost."""
    flat = filters.flatten(1)
    order = flat.abs().argsort(1, descending=True)
    kept, lost = torch.empty_like(flat), torch.zeros_like(flat[:, :1])
    for place in order.split(1, 1):
        wanted = flat.gather(1, place) + lost
        own = wanted.bfloat16().float()
        kept.scatter_(1, place, own)
        lost = wanted - own
    return kept.view_as(filters)
