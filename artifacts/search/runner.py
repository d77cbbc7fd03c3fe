"""What the search loop drives: one search, or one mask for several tasks, with their episodes."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from artifacts.data.episodes import Episodes
from artifacts.resume import State
from artifacts.search.run import Search


class Runner(Protocol):
    """Steps on training episodes, and judgement on validation episodes. `lead` holds the Bernoullis and settings."""

    lead: Search

    def step(self) -> float:
        """One update; returns the mean loss."""

    def score(self, masks: Tensor) -> Tensor:
        """Masks over the variables [K,n] -> validation losses [K]."""

    @property
    def evaluations(self) -> int:
        """Queries answered so far."""

    def state(self) -> State:
        """All that changes from step to step."""

    def restore(self, state: State) -> None:
        """The reverse of `state`."""


class SingleRunner:
    """One task."""

    def __init__(self, search: Search, train: Episodes, validation: Episodes) -> None:
        self.lead, self.train, self.validation = search, train, validation

    def step(self) -> float:
        """One update; returns the mean loss."""
        return self.lead.step(self.train)

    def score(self, masks: Tensor) -> Tensor:
        """Masks over the variables [K,n] -> validation losses [K]."""
        return self.lead.losses(masks, self.validation)

    @property
    def evaluations(self) -> int:
        """Queries answered so far."""
        return self.lead.evaluations

    def state(self) -> State:
        """All that changes from step to step."""
        return self.lead.state()

    def restore(self, state: State) -> None:
        """The reverse of `state`."""
        self.lead.restore(state)


class MultiRunner:
    """One mask for several tasks, each with its own values, by REINFORCE.

    Sample i of a step is for task i mod T. Losses are standardised inside each task, as published.
    """

    def __init__(self, searches: Sequence[Search], train: Sequence[Episodes], validation: Sequence[Episodes]) -> None:
        self.searches, self.train, self.validation = list(searches), list(train), list(validation)
        self.lead = self.searches[0]
        self._bare: Tensor | None = None

    def step(self) -> float:
        """One update; returns the mean loss."""
        samples = self.lead.sample(self.lead.settings.samples)
        groups = torch.arange(len(samples)) % len(self.searches)
        losses = torch.empty(len(samples), dtype=torch.float64)
        for number, (search, train) in enumerate(zip(self.searches, self.train, strict=True)):
            own = groups == number
            losses[own] = search.sampled_losses(samples[own], train).double()
        return self.lead.update(samples, losses, groups)

    def score(self, masks: Tensor) -> Tensor:
        """Mean over tasks of what each loses, as a share of what it loses with nothing written: [K,n] -> [K]."""
        if self._bare is None:
            self._bare = self._losses(torch.zeros(1, masks.shape[1]))
        return ((self._losses(masks) - self._bare) / self._bare.abs().clamp(min=1e-6)).mean(0)

    @property
    def evaluations(self) -> int:
        """Queries answered so far."""
        return sum(search.evaluations for search in self.searches)

    def state(self) -> State:
        """All that changes from step to step."""
        return {"searches": [search.state() for search in self.searches], "bare": self._bare}

    def restore(self, state: State) -> None:
        """The reverse of `state`."""
        for search, held in zip(self.searches, state["searches"], strict=True):
            search.restore(held)
        self._bare = state["bare"]

    def _losses(self, masks: Tensor) -> Tensor:
        pairs = zip(self.searches, self.validation, strict=True)
        return torch.stack([search.losses(masks, episodes) for search, episodes in pairs])
