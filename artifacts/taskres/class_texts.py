"""The text side of a tower: class names to what a base is made of."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from artifacts.store.residual import TaskResidual


class ClassTexts(Protocol):
    """A base is `class_base(hidden(names, templates), projection)`; an enhanced one has another projection."""

    scale: float
    """The factor on cosines of image features and class vectors."""
    tower: str
    """Fingerprint of the image tower that it goes with."""

    @property
    def projection(self) -> Tensor:
        """float32 [W,D]."""

    def hidden(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> Tensor:
        """float32 [K,T,W] of K names in T templates; raises OfflineError."""

    def base(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> TaskResidual:
        """The regular base, as a task without a residual; raises OfflineError."""
