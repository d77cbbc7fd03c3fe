"""Every method of the table, by name."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from artifacts.taskres.labelled_features import FewShots
from artifacts.taskres.learner import Settings, usual_epochs
from artifacts.taskres.methods import residual
from artifacts.taskres.methods.classifier import Classifier
from artifacts.taskres.methods.linear_probe import linear_probe
from artifacts.taskres.methods.tip_adapter import tip_adapter, tip_adapter_f

Method = Callable[[FewShots, Tensor, float, Settings], Classifier]
"""Of a draw, a base [K,D], its scale and the residual's settings, the seed among them."""

OURS = "TaskRes"
"""What the others are compared with."""


def _task_residual(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Classifier:
    return residual.residual_classifier(residual.learn_residual(shots, base, scale, settings), base, scale)


def _chosen_alpha(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Classifier:
    return residual.residual_classifier(residual.learn_with_chosen_alpha(shots, base, scale, settings), base, scale)


def _learnt_alpha(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Classifier:
    return _task_residual(shots, base, scale, replace(settings, learn_alpha=True))


def _random_base(shots: FewShots, base: Tensor, scale: float, settings: Settings) -> Classifier:
    return _task_residual(shots, residual.random_base(base, settings.seed), scale, settings)


METHODS: dict[str, Method] = {
    OURS: _task_residual,
    "TaskRes, alpha chosen": _chosen_alpha,
    "TaskRes, alpha learnt": _learnt_alpha,
    "zero-shot": lambda shots, base, scale, settings: residual.zero_shot(base, scale),
    "residual on a random base": _random_base,
    "linear probe": lambda shots, base, scale, settings: linear_probe(shots, len(base)),
    "Tip-Adapter": lambda shots, base, scale, settings: tip_adapter(shots, base, scale),
    "Tip-Adapter-F": lambda shots, base, scale, settings: tip_adapter_f(shots, base, scale, settings.seed),
}


def settings_for(settings: Settings, shots: int, seed: int) -> Settings:
    """The public number of epochs for so many shots, and a draw's own seed."""
    return replace(settings, epochs=usual_epochs(shots), seed=seed)
