"""The steps of a search: progress, checkpoints, validation, and what they cost."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from artifacts.progress import Progress, Steps
from artifacts.resume import Checkpoint, State
from artifacts.search.prune import prune
from artifacts.search.runner import Runner
from artifacts.search.scalars import Scalars

RECENT = 20
"""Steps over which the loss that is told is averaged."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a search is watched and kept: lines for people, a checkpoint file, a folder for TensorBoard."""

    progress: Progress
    checkpoint: Path | None = None
    tensorboard: Path | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Steps taken; queries answered in them, and beside them to choose among masks; seconds of all runs together."""

    steps: int
    evaluations: int
    selection_evaluations: int
    seconds: float


class Loop:
    """One search, from its first step or its checkpoint, to the best deterministic mask.

    `mask` [n] is the best so far on the validation episodes, `values` what it wrote where values are tuned.
    """

    def __init__(self, runner: Runner, name: str, checkpoint: Checkpoint, watch: Watch) -> None:
        self.runner, self.name, self.checkpoint, self.watch = runner, name, checkpoint, watch
        self.steps = runner.lead.steps
        self.start = _clones(runner.lead.values)
        self.number, self.selection, self.seconds = 0, 0, 0.0
        self.recent: list[float] = []
        self.mask: Tensor | None = None
        self.values: tuple[Tensor, Tensor] | None = None
        self.loss = float("inf")

    def run(self) -> Tensor:
        """All steps that remain, then the choice: the mask over the variables [n]. The checkpoint stays."""
        held = self.checkpoint.load()
        if held is not None:
            self._restore(held)
            self.watch.progress(f"{self.name}: goes on after step {self.number}")
        scalars = Scalars(self.watch.tensorboard, self.number)
        shown = Steps(self.name, self.steps, self.number, self.watch.progress)
        before = self.state()
        try:
            while self.number < self.steps:
                before = self.state()
                self._advance(shown, scalars)
        except KeyboardInterrupt:
            # The step is lost, what came before it is not.
            self.checkpoint.save(before)
            raise
        finally:
            shown.close()
            scalars.close()
        return self._choose()

    @property
    def cost(self) -> Cost:
        """So far."""
        return Cost(self.number, self.runner.evaluations - self.selection, self.selection, self.seconds)

    def _advance(self, shown: Steps, scalars: Scalars) -> None:
        every = self.runner.lead.settings.evaluate_every
        loss = self._step()
        if every and self.number % every == 0 and self.number < self.steps:
            self.consider()
            scalars.write(self.number, validation_loss=self.loss)
        chance = torch.sigmoid(self.runner.lead.logits.detach())
        scalars.write(self.number, loss=loss, probability=float(chance.mean()), on=float((chance > 0.5).sum()))
        best = "" if self.mask is None else f", best validation loss {self.loss:.4f}"
        shown.update(f"mean loss {np.mean(self.recent):.4f}{best}")
        if self.checkpoint.due or self.number == self.steps:
            self.checkpoint.save(self.state())

    def _step(self) -> float:
        started = time.perf_counter()
        loss = self.runner.step()
        self.seconds += time.perf_counter() - started
        self.number += 1
        self.recent = [*self.recent[1 - RECENT :], loss]
        return loss

    def consider(self) -> None:
        """Score candidates on the validation episodes; keep the best if it is better than what is kept."""
        candidates = self.runner.lead.candidates()
        losses = self.score(candidates)
        best = int(losses.argmin())
        if self.mask is None or float(losses[best]) < self.loss:
            self.mask, self.loss = candidates[best].clone(), float(losses[best])
            if self.runner.lead.settings.tune_values:
                self.values = _clones(self.runner.lead.values)

    def score(self, masks: Tensor) -> Tensor:
        """Validation losses of masks [K,n] -> [K], on the account of selection."""
        started, before = time.perf_counter(), self.runner.evaluations
        losses = self.runner.score(masks)
        self.selection += self.runner.evaluations - before
        self.seconds += time.perf_counter() - started
        return losses

    def _choose(self) -> Tensor:
        self.consider()
        assert self.mask is not None
        lead, settings = self.runner.lead, self.runner.lead.settings
        if self.values is not None:
            self._untune()
        say = self.watch.progress
        say(f"{self.name}: validation loss {self.loss:.4f}, {int(self.mask.sum())} of {lead.variables.count} variables")
        if settings.prune is not None:
            self.mask = prune(self.score, self.mask, settings.prune)
            say(f"{self.name}: {int(self.mask.sum())} variables within {settings.prune:.1%} of that loss")
        return self.mask

    def _untune(self) -> None:
        """Of the tuned values and those it started from keep the better on the validation episodes."""
        assert self.mask is not None
        assert self.values is not None
        lead = self.runner.lead
        lead.values = self.start
        loss = float(self.score(self.mask[None])[0])
        if loss <= self.loss:
            self.values, self.loss = self.start, loss
        lead.values = self.values

    def state(self) -> State:
        """A copy of all that changes from step to step."""
        return {
            "number": self.number,
            "selection": self.selection,
            "seconds": self.seconds,
            "recent": list(self.recent),
            "mask": self.mask,
            "values": None if self.values is None else list(self.values),
            "loss": self.loss,
            "runner": self.runner.state(),
        }

    def _restore(self, state: State) -> None:
        self.number, self.selection, self.seconds = state["number"], state["selection"], state["seconds"]
        self.recent, self.mask, self.loss = list(state["recent"]), state["mask"], state["loss"]
        if state["values"] is not None:
            device = self.start[0].device
            self.values = (state["values"][0].to(device), state["values"][1].to(device))
        self.runner.restore(state["runner"])


def _clones(values: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return values[0].detach().clone(), values[1].detach().clone()
