"""The paper's baseline: causal mediation analysis (Todd et al., Function Vectors in Large Language Models, 2024).

A variable's indirect effect is how much better the answers get when it alone is written. Variables are then
added in the order of their effects, and stay where they help.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from artifacts.data.episodes import Episodes
from artifacts.pieces.protocol import Pieces
from artifacts.resume import State
from artifacts.search.passes import Values
from artifacts.search.run import Search
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from engine.model import MaeVqgan

CHUNK = 16
"""Variables whose effect is measured in one step; afterwards a step tries one."""


class CausalSearch(Search):
    """Effects of single variables on a few queries, then greedy addition, on the same queries.

    `alone` [n]: the loss with each variable alone, once `measured`; `tried` of them have had their turn.
    """

    def __init__(
        self, model: MaeVqgan, task: Task, values: Values, settings: SearchSettings, pieces: Pieces | None = None
    ) -> None:
        super().__init__(model, task, values, settings, pieces)
        self.alone = torch.zeros(self.variables.count, dtype=torch.float64)
        self.mask = torch.zeros(self.variables.count)
        self.queries: list[int] = []
        self.best, self.measured, self.tried = float("inf"), 0, 0

    @property
    def steps(self) -> int:
        """All effects, then every variable's turn."""
        return -(-self.variables.count // CHUNK) + self.variables.count

    def step(self, train: Episodes) -> float:
        """Measure the next effects, or try the next variable; returns the loss of what is chosen so far."""
        if not self.queries:
            count = min(self.settings.images, len(train))
            self.queries = self.draw.choice(len(train), count, replace=False).tolist()
            self.best = self._loss(self.mask, train)
        if self.measured < self.variables.count:
            end = min(self.measured + CHUNK, self.variables.count)
            masks = self._units(range(self.measured, end))
            self.alone[self.measured : end] = self.losses(masks, train.part(np.asarray(self.queries)))
            self.measured = end
            return self.best
        with_it = self.mask.clone()
        with_it[self.alone.argsort(stable=True)[self.tried]] = 1
        self.tried += 1
        loss = self._loss(with_it, train)
        if loss < self.best:
            self.mask, self.best = with_it, loss
        return self.best

    def candidates(self) -> Tensor:
        """What was chosen: [1,n]."""
        return self.mask[None]

    def state(self) -> State:
        """With effects and choices."""
        own = {"alone": self.alone.clone(), "mask": self.mask.clone(), "queries": list(self.queries)}
        return super().state() | own | {"best": self.best, "measured": self.measured, "tried": self.tried}

    def restore(self, state: State) -> None:
        """The reverse of `state`."""
        super().restore(state)
        self.alone, self.mask, self.queries = state["alone"].clone(), state["mask"].clone(), list(state["queries"])
        self.best, self.measured, self.tried = state["best"], state["measured"], state["tried"]

    def _loss(self, mask: Tensor, train: Episodes) -> float:
        return float(self.losses(mask[None], train.part(np.asarray(self.queries)))[0])

    def _units(self, variables: Iterable[int]) -> Tensor:
        index = torch.tensor(list(variables))
        return (index[:, None] == torch.arange(self.variables.count)).float()
