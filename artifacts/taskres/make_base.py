"""A base of class names: regular, with another's text projection, or with one tuned on a draw."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.store.residual import TaskResidual
from artifacts.taskres.base import base_of, class_base
from artifacts.taskres.class_texts import ClassTexts
from artifacts.taskres.enhanced import Tuned, tune_projection
from artifacts.taskres.labelled_features import FewShots


@dataclass(frozen=True)
class Wording:
    """Class names and how they are put into words."""

    names: tuple[str, ...]
    templates: Sequence[str]
    keep_underscores: bool = False


def regular_base(texts: ClassTexts, words: Wording) -> TaskResidual:
    """With the tower's own projection; raises OfflineError."""
    return texts.base(words.names, words.templates, words.keep_underscores)


def projected_base(texts: ClassTexts, words: Wording, projection: Tensor) -> TaskResidual:
    """With a projection [W,D] of the public format; raises OfflineError where it is of other texts or features."""
    if projection.shape != texts.projection.shape:
        wanted, found = list(texts.projection.shape), list(projection.shape)
        raise OfflineError(f"a text projection {found} does not fit this tower's, which is {wanted}")
    rows = class_base(texts.hidden(words.names, words.templates, words.keep_underscores), projection)
    return base_of(rows, texts.scale, words.names, texts.tower)


def tuned_base(texts: ClassTexts, words: Wording, shots: FewShots, seed: int) -> tuple[TaskResidual, Tuned]:
    """With a projection tuned on a draw. Raises OfflineError, TrainingError."""
    hidden = texts.hidden(words.names, words.templates, words.keep_underscores).clone()
    tuned = tune_projection(shots, hidden, texts.projection.clone(), texts.scale, seed)
    return projected_base(texts, words, tuned.projection), tuned
