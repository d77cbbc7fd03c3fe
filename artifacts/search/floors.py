"""Floors for a search to beat: every site, and sites at random."""

import torch
from torch import Tensor

from artifacts.search.run import Search

RANDOM_SHARE = 0.3


class _Unsearched(Search):
    @property
    def steps(self) -> int:
        """None."""
        return 0


class AllSites(_Unsearched):
    """Writes everything."""

    def candidates(self) -> Tensor:
        """One mask: [1,n]."""
        return torch.ones(1, self.variables.count)


class RandomSites(_Unsearched):
    """Writes a random `RANDOM_SHARE` of the variables."""

    def candidates(self) -> Tensor:
        """One draw: [1,n]."""
        return torch.bernoulli(torch.full((1, self.variables.count), RANDOM_SHARE), generator=self.generator)
