"""Gradient search: one straight-through gate per variable of a frozen model.

Each row draws its own on/off mask, as in REINFORCE, but the loss is differentiated: forward the sample is
hard, backward a gate's gradient is that of its probability (Bengio, Léonard and Courville, Estimating or
Propagating Gradients Through Stochastic Neurons, 2013). The pixel objective reaches the logits through the
expected code and the decoder; the token objective stops at the codes and decodes nothing.
"""

import numpy as np
import torch
from torch import Tensor

from artifacts.data.episodes import Episodes
from artifacts.pieces.protocol import Pieces
from artifacts.resume import State
from artifacts.search.passes import Asked, Gates, Values, gate_gradients, gate_loss
from artifacts.search.run import Search
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from engine.model import MaeVqgan


class GateSearch(Search):
    """`samples` queries a step, each with its own mask. With `tune_values` the values move too."""

    def __init__(
        self, model: MaeVqgan, task: Task, values: Values, settings: SearchSettings, pieces: Pieces | None = None
    ) -> None:
        super().__init__(model, task, values, settings, pieces)
        # Means may have been made in inference mode; what autograd keeps may not.
        self.values = (self.values[0].clone(), self.values[1].clone())
        if settings.tune_values:
            for value in self.values:
                value.requires_grad_(True)
            self.optimizer.add_param_group({"params": list(self.values), "lr": settings.value_rate})

    def step(self, train: Episodes) -> float:
        """One update; returns the step's loss."""
        count = self.settings.samples
        index = self.draw.choice(len(train), count, replace=count > len(train))
        samples, codes = self.sample(count), self.true_codes(train, index)
        self.evaluations += count
        queries = train.part(index)
        shared = self._gates(count), Asked(queries.query, queries.answer, codes)
        found = self.pieces.map(gate_gradients, shared, self.rows_of(samples, np.arange(count)))
        self.optimizer.zero_grad()
        for _, gradients in found:
            self._add(gradients)
        self.optimizer.step()
        return sum(loss for loss, _ in found)

    def _gates(self, count: int) -> Gates:
        logits, settings = self.logits.detach().clone(), self.settings
        return Gates(self.variables, logits, self.fixed_values(), settings.tune_values, settings.regularisation, count)

    def _add(self, gradients: list[Tensor]) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            own = gradient.to(parameter.device)
            parameter.grad = own if parameter.grad is None else parameter.grad + own

    def loss(self, samples: Tensor, queries: Episodes, codes: Tensor | None) -> Tensor:
        """Differentiable loss of samples [B,n] on as many queries: cross-entropy to `codes` [B,P], else pixels."""
        asked, each = Asked(queries.query, queries.answer, codes), np.arange(len(samples))
        return gate_loss(self.model, self.variables, self.logits, self.values, asked, (samples, each))

    def fixed_values(self) -> Values:
        """A copy, where steps change them in place."""
        if not self.settings.tune_values:
            return self.values
        return self.values[0].detach().clone(), self.values[1].detach().clone()

    def state(self) -> State:
        """With the values, where they move."""
        tuned = {"values": [value.detach().clone() for value in self.values]} if self.settings.tune_values else {}
        return super().state() | tuned

    def restore(self, state: State) -> None:
        """The reverse of `state`."""
        super().restore(state)
        with torch.no_grad():
            for value, held in zip(self.values, state.get("values", self.values), strict=True):
                value.copy_(held)
