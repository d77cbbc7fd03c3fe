"""What every method gives: logits [N,K] of features [N,D]."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from artifacts.errors import TrainingError
from artifacts.taskres.labelled_features import LabelledFeatures

Classifier = Callable[[Tensor], Tensor]
T = TypeVar("T")


def best_on_validation(candidates: Iterable[T], classify: Callable[[T], Classifier], held: LabelledFeatures) -> T:
    """The first candidate with the least cross-entropy on validation pictures; raises TrainingError without any.

    Not accuracy, which many candidates share where ten pictures are held out.
    """
    if not len(held):
        raise TrainingError("no picture is left to choose settings on: the data set has none beyond the shots")
    return min(candidates, key=lambda own: float(cross_entropy(classify(own)(held.features), held.labels)))


@torch.inference_mode()
def correct(classifier: Classifier, test: LabelledFeatures) -> Tensor:
    """Which test pictures are classified rightly, bool [N]."""
    return classifier(test.features).argmax(1) == test.labels
