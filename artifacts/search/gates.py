"""Gradient search: one straight-through gate per variable of a frozen model.

Each row draws its own on/off mask, as in REINFORCE, but the loss is differentiated: forward the sample is
hard, backward a gate's gradient is that of its probability (Bengio, Léonard and Courville, Estimating or
Propagating Gradients Through Stochastic Neurons, 2013). The pixel objective reaches the logits through the
expected code and the decoder; the token objective stops at the codes and decodes nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.episodes import Episodes
from artifacts.forward import answer_cells, device_of, to_planes
from artifacts.resume import State
from artifacts.search.run import TEMPERATURE, Search
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from artifacts.workers import share, sum_gradients, summed
from engine.device import fast_autocast
from engine.mae import Edit
from engine.model import MaeVqgan


def gated(value: Tensor, mask: Tensor, slope: Tensor) -> Edit:
    """Write value [L,N,H,d] where mask [L,B,N,H]; slope [L,N,H] is zero, and carries the gradient of the gates.

    The output is exactly that of `engine.overrides.write`; with respect to a gate its gradient is value - heads.
    """

    def edit(block: int, heads: Tensor) -> Tensor:
        own = value[block].to(heads.dtype)
        hard = torch.where(mask[block][..., None], own, heads)
        return hard + slope[block][..., None].to(heads.dtype) * (own - heads).detach()

    return edit


class GateSearch(Search):
    """`samples` queries a step, each with its own mask. With `tune_values` the values move too."""

    def __init__(self, model: MaeVqgan, task: Task, values: tuple[Tensor, Tensor], settings: SearchSettings) -> None:
        super().__init__(model, task, values, settings)
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
        own = share(count)
        weight = (own.stop - own.start) / count
        self.evaluations += count
        self.optimizer.zero_grad()
        loss = torch.zeros(())
        if weight:
            loss = self.loss(samples[own], train.part(index[own]), None if codes is None else codes[own]) * weight
            (loss + weight * self.settings.regularisation * self.logits.sigmoid().mean()).backward()
        sum_gradients(parameter for group in self.optimizer.param_groups for parameter in group["params"])
        self.optimizer.step()
        return float(summed(loss.detach()))

    def loss(self, samples: Tensor, queries: Episodes, codes: Tensor | None) -> Tensor:
        """Differentiable loss of samples [B,n] on as many queries: cross-entropy to `codes` [B,P], else pixels."""
        model, device = self.model, device_of(self.model)
        masks = self.variables.expand(samples.bool())
        chance = self.logits.sigmoid()
        slopes = self.variables.spread(chance - chance.detach())
        edits = [gated(v, m.to(device), s.to(device)) for v, m, s in zip(self.values, masks, slopes, strict=True)]
        planes = model.normalise(to_planes(model.geometry.query_tile(queries.query), device))
        with fast_autocast(device):
            logits = model.answer_logits("zero_shot", model.logits("zero_shot", planes, *edits)).float()
            if codes is not None:
                return F.cross_entropy(logits.flatten(0, 1), codes.flatten())
            painted = answer_cells(model, logits, TEMPERATURE).float()
        return ((painted - to_planes(queries.answer, device)) / model.std).square().mean()

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
