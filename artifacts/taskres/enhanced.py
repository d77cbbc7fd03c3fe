"""The enhanced base: a text projection tuned on a draw, before any residual.

The paper's own code for it was never released; known are its files (a linear layer's weight) and that it is trained on
the task's shots for 50 epochs. Here Adam, a cosine, and the learning rate that does best on validation pictures, among
them none: then the projection stays as it was.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from artifacts.taskres.base import class_base
from artifacts.taskres.labelled_features import FewShots
from artifacts.taskres.learner import drawn_batches
from artifacts.taskres.methods.classifier import Classifier, best_on_validation
from engine.classification.head import logits

EPOCHS, BATCH = 50, 256
RATES = (0.0, 1e-5, 1e-4, 1e-3)


@dataclass(frozen=True)
class Tuned:
    """A projection [W,D] and the learning rate that made it."""

    projection: Tensor
    rate: float


def tune_projection(shots: FewShots, hidden: Tensor, projection: Tensor, scale: float, seed: int) -> Tuned:
    """Of text features before the projection [K,T,W]; raises TrainingError where there is nothing to choose on."""
    tuned = [Tuned(_tune(shots, hidden, projection, scale, rate, seed), rate) for rate in RATES]

    def classify(own: Tuned) -> Classifier:
        rows = class_base(hidden, own.projection)
        return lambda features: logits(features, rows, scale)

    return best_on_validation(tuned, classify, shots.validation)


def _tune(shots: FewShots, hidden: Tensor, start: Tensor, scale: float, rate: float, seed: int) -> Tensor:
    if not rate:
        return start
    projection, train = start.clone().requires_grad_(), shots.train
    optimizer = torch.optim.Adam([projection], lr=rate)
    batches = list(drawn_batches(len(train), BATCH, EPOCHS, seed))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, sum(map(len, batches)))
    for rows in (rows for epoch in batches for rows in epoch):
        optimizer.zero_grad()
        given = logits(train.features[rows], class_base(hidden, projection), scale)
        cross_entropy(given, train.labels[rows]).backward()
        optimizer.step()
        schedule.step()
    return projection.detach()
