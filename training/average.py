"""Averaged weights: an exponential moving average over steps, which is what is exported."""

import torch
from torch import Tensor, nn

DECAY = 0.998


class Average:
    """Running means of a module's state; young averages forget faster, so that they start from what is learnt."""

    def __init__(self, module: nn.Module) -> None:
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the state after `step` steps."""
        decay = min(DECAY, (step + 1) / (step + 20))
        for name, value in module.state_dict().items():
            self.values[name].lerp_(value, 1 - decay)

    def load(self, values: dict[str, Tensor]) -> None:
        """Go on from saved values."""
        for name, value in values.items():
            self.values[name].copy_(value)
