"""The residual itself; on a random base it shows what the class names are worth."""

from dataclasses import replace

import torch
from torch import Tensor

from artifacts.taskres.labelled_features import FewShots
from artifacts.taskres.learner import Learned, Settings, drawn_epochs, learn
from artifacts.taskres.methods.classifier import Classifier, best_on_validation
from engine.classification.head import classifier as with_residual
from engine.classification.head import logits, unit

ALPHAS = (0.125, 0.25, 0.5, 1.0, 2.0)
"""Tried where alpha is to be chosen."""


def learn_residual(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Learned:
    """With a fixed alpha, or one that is learnt with the residual. Each epoch sees the next view of the pictures."""
    train, count = shots.train, len(shots.labels)
    order = drawn_epochs(count, settings)
    epochs = ([rows + count * (epoch % len(shots.passes)) for rows in own] for epoch, own in enumerate(order))
    return learn(train.features, train.labels, base, scale, settings, epochs)


def learn_with_chosen_alpha(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Learned:
    """With the alpha of `ALPHAS` that does best on validation pictures."""
    learned = [learn_residual(shots, base, scale, replace(settings, alpha=alpha)) for alpha in ALPHAS]
    return best_on_validation(learned, lambda own: residual_classifier(own, base, scale), shots.validation)


def residual_classifier(learned: Learned, base: Tensor, scale: float) -> Classifier:
    """Cosines with t + alpha x."""
    rows = with_residual(base, learned.residual, learned.alpha)
    return lambda features: logits(features, rows, scale)


def zero_shot(base: Tensor, scale: float) -> Classifier:
    """The base alone."""
    return lambda features: logits(features, base, scale)


def random_base(base: Tensor, seed: int) -> Tensor:
    """Random directions with the base's own norms."""
    drawn = torch.randn(base.shape, generator=torch.Generator().manual_seed(seed))
    rows: Tensor = unit(drawn) * base.norm(dim=1, keepdim=True)
    return rows
