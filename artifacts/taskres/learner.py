"""Learns a residual from features, as the public trainer does."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from artifacts.errors import TrainingError
from artifacts.taskres.schedule import learning_rate
from engine.classification.head import classifier, logits

FEW_SHOTS, FEW_EPOCHS, EPOCHS = 4, 100, 200


@dataclass(frozen=True, slots=True)
class Settings:
    """The public trainer's. `weight_decay` is its framework's default and stands in none of its own files.

    The decay is coupled: it is added to the gradient before Adam divides by the gradient's size, and pulls the
    classifier back to its base. `learn_alpha` lets alpha move too, without decay.
    """

    alpha: float = 0.5
    learning_rate: float = 2e-3
    epochs: int = FEW_EPOCHS
    batch: int = 256
    weight_decay: float = 5e-4
    seed: int = 1
    learn_alpha: bool = False


def usual_epochs(shots: int) -> int:
    """The public number of epochs for so many pictures a class."""
    return FEW_EPOCHS if shots <= FEW_SHOTS else EPOCHS


@dataclass(frozen=True, slots=True)
class Step:
    """Loss and top-1 accuracy (0..1) of a batch, before its update."""

    loss: float
    accuracy: float


class Learner:
    """A residual [K,D] of zeros over a frozen base [K,D], and the optimizer that moves it."""

    def __init__(self, base: Tensor, scale: float, settings: Settings) -> None:
        self.base, self.scale = base, scale
        self.residual = torch.zeros_like(base, requires_grad=True)
        self.alpha = torch.tensor(settings.alpha, device=base.device, requires_grad=settings.learn_alpha)
        groups = [{"params": [self.residual], "weight_decay": settings.weight_decay}]
        if settings.learn_alpha:
            groups.append({"params": [self.alpha], "weight_decay": 0.0})
        self.optimizer = torch.optim.Adam(groups, lr=settings.learning_rate)

    def logits(self, features: Tensor) -> Tensor:
        """[N,K] of features [N,D]."""
        return logits(features, classifier(self.base, self.residual, self.alpha), self.scale)

    def step(self, features: Tensor, labels: Tensor, rate: float) -> Step:
        """One update at a learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        given = self.logits(features)
        loss = cross_entropy(given, labels)
        loss.backward()
        self.optimizer.step()
        return Step(loss.item(), (given.argmax(1) == labels).double().mean().item())


@dataclass(frozen=True)
class Learned:
    """A residual [K,D] with the alpha that goes with it, and the steps that made it."""

    residual: Tensor
    alpha: float
    steps: tuple[Step, ...]


def learn(
    features: Tensor,
    labels: Tensor,
    base: Tensor,
    scale: float,
    settings: Settings,
    epochs: Iterable[list[Tensor]] | None = None,
) -> Learned:
    """Learn from features [N,D] and labels int64 [N]; `epochs` are batches of row numbers, drawn where not given.

    Raises TrainingError for numbers that cannot be learned from, and for a loss that is not finite.
    """
    _check(features, labels, base)
    learner, steps = Learner(base, scale, settings), []
    for epoch, batches in enumerate(drawn_epochs(len(features), settings) if epochs is None else epochs):
        rate = learning_rate(epoch, settings.epochs, settings.learning_rate)
        steps += [learner.step(features[rows], labels[rows], rate) for rows in batches]
    if not all(step.loss < float("inf") for step in steps):
        raise TrainingError("the loss is not finite: a class or a picture has a feature of zeros")
    return Learned(learner.residual.detach(), float(learner.alpha.detach()), tuple(steps))


def drawn_epochs(count: int, settings: Settings) -> Iterator[list[Tensor]]:
    """Each epoch's batches of row numbers: a permutation, its incomplete end dropped where one batch was full."""
    return drawn_batches(count, settings.batch, settings.epochs, settings.seed)


def drawn_batches(count: int, batch: int, epochs: int, seed: int) -> Iterator[list[Tensor]]:
    """The same of any learner."""
    generator = torch.Generator().manual_seed(seed)
    size = min(batch, count)
    for _ in range(epochs):
        rows = torch.randperm(count, generator=generator)
        yield list(rows[: count // size * size].split(size))


def _check(features: Tensor, labels: Tensor, base: Tensor) -> None:
    if features.dim() != 2 or not len(features) or labels.shape != features.shape[:1]:
        raise TrainingError(f"features {list(features.shape)} do not fit labels {list(labels.shape)}")
    if base.dim() != 2 or base.shape[1] != features.shape[1]:
        raise TrainingError(f"features of width {features.shape[1]} do not fit a base {list(base.shape)}")
    if int(labels.min()) < 0 or int(labels.max()) >= len(base):
        raise TrainingError(f"labels {int(labels.min())}..{int(labels.max())} do not fit a base of {len(base)} classes")
