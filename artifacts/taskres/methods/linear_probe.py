"""Logistic regression on features of norm 1, from nothing: what the pictures say without the class names."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from artifacts.taskres.labelled_features import FewShots
from artifacts.taskres.methods.classifier import Classifier, best_on_validation
from engine.classification.head import unit

STRENGTHS = tuple(10.0**power for power in range(-1, 5))
"""C of the loss C sum(cross-entropy) + |W|^2 / 2, chosen on validation pictures."""
ITERATIONS = 100


def linear_probe(shots: FewShots, classes: int) -> Classifier:
    """With the C that does best on validation pictures."""
    train = shots.train
    fitted = [_fit(unit(train.features), train.labels, classes, c) for c in STRENGTHS]
    return best_on_validation(fitted, lambda own: own, shots.validation)


def _fit(features: Tensor, labels: Tensor, classes: int, strength: float) -> Classifier:
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        error = cross_entropy(features @ weight.T + bias, labels, reduction="sum")
        loss = strength * error + weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    rows, offset = weight.detach(), bias.detach()
    return lambda given: unit(given) @ rows.T + offset
