"""A task from few shots: the residual, and its accuracy on the data set's test pictures."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.evaluation.bootstrap import interval
from artifacts.store.residual import TaskResidual
from artifacts.taskres.labelled_features import FeatureSource, LabelledFeatures
from artifacts.taskres.learner import Learned, Settings
from artifacts.taskres.methods.residual import learn_residual, learn_with_chosen_alpha
from engine.classification.head import scores


@dataclass(frozen=True)
class Trained:
    """A task and the steps that made it."""

    value: TaskResidual
    learned: Learned


def train(source: FeatureSource, base: TaskResidual, shots: int, settings: Settings, choose_alpha: bool) -> Trained:
    """Learn from a draw of so many pictures a class, with the settings' seed; alpha is theirs, or chosen.

    The residual that `base` has already is left out. Raises TrainingError.
    """
    learn = learn_with_chosen_alpha if choose_alpha else learn_residual
    learned = learn(source.draw(shots, settings.seed), base.base, base.scale, settings)
    return Trained(replace(base, residual=learned.residual, alpha=learned.alpha), learned)


@torch.inference_mode()
def told_classes(value: TaskResidual, features: Tensor) -> Tensor:
    """The row of the class, int64 [N], that the task's head, as it is served, tells of features [N,D]."""
    head = value.head()
    return scores(features, head.matrix, head.scale).argmax(1)


def right_answers(value: TaskResidual, test: LabelledFeatures) -> NDArray[np.bool_]:
    """Which pictures [N] are classified rightly; labels number the task's rows."""
    right: NDArray[np.bool_] = (told_classes(value, test.features) == test.labels).numpy()
    return right


def accuracy_metric(right: NDArray[np.bool_], precision: str, split: str = "test") -> dict[str, object]:
    """As artifacts hold it: value, 95 % interval, number of pictures, and what their features were computed in."""
    found = interval(right.astype(np.float64))
    return {
        "name": "accuracy",
        "value": round(found.mean, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "episodes": len(right),
        "split": split,
        "precision": precision,
    }
