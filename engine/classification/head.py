"""A task residual's head: which class, by cosine with each class's vector.

*Task Residual for Tuning Vision-Language Models* (CVPR 2023): a frozen base t [K,D] and a residual x of the same
shape give the classifier t' = t + alpha x. Features and rows of t' are divided by their norms at the very end, so
the base's own norms decide how far a residual can turn a class.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import EngineError

UNIT_TOLERANCE = 1e-4
"""How far a stored row's norm may be from 1."""
LARGEST_SCALE = 1e6
"""Ten thousand times CLIP's; far beyond it float32 would have no number for scaled cosines."""

LEAST_APART = 1e-3
"""Scaled distance of two rows: scores of what is closer are the same in three digits."""


@dataclass(frozen=True)
class Head:
    """A classifier as it is served: `matrix` float32 [K,D] of unit rows, `scale` the factor on the cosines.

    `labels` name the K rows, `tower` is the fingerprint of the image encoder whose features it takes.
    Raises EngineError for shapes that do not belong together, two equal labels, rows that are not finite and unit, and
    classes that get the same score whatever the features.
    """

    matrix: Tensor
    scale: float
    labels: tuple[str, ...]
    tower: str

    def __post_init__(self) -> None:
        check_labels(self.labels, self.matrix)
        if not 0 < self.scale <= LARGEST_SCALE:
            raise EngineError(f"a head's scale must be finite, above 0 and at most {LARGEST_SCALE:g}, not {self.scale}")
        wrong = ~((self.matrix.norm(dim=1) - 1).abs() <= UNIT_TOLERANCE)  # true of NaN as well
        if bool(wrong.any()):
            label = self.labels[int(wrong.nonzero()[0])]
            raise EngineError(f"the row of class {label!r} is not a finite vector of norm 1")
        # The difference of two scaled cosines is at most the scaled distance of the rows: no picture needs be shown.
        apart = self.scale * float((self.matrix - self.matrix[0]).norm(dim=1).max())
        if len(self.labels) > 1 and apart < LEAST_APART:
            raise EngineError("its classes cannot be told apart: each gets the same score, whatever the picture")


def check_labels(labels: tuple[str, ...], rows: Tensor) -> None:
    """Refuse a matrix without one row for each label, and labels that are empty or occur twice."""
    if rows.dim() != 2 or len(rows) != len(labels) or not labels:
        raise EngineError(f"{len(labels)} class names do not fit a matrix {list(rows.shape)}")
    seen: set[str] = set()
    for label in labels:
        if not label or label in seen:
            raise EngineError(f"class name {label!r} is empty or occurs twice")
        seen.add(label)


def make_head(base: Tensor, residual: Tensor, alpha: float, scale: float, labels: tuple[str, ...], tower: str) -> Head:
    """The head of a base and a residual, both [K,D]. Raises EngineError."""
    if base.shape != residual.shape:
        raise EngineError(f"a residual {list(residual.shape)} does not fit a base {list(base.shape)}")
    matrix = unit(classifier(base.float(), residual.float(), alpha)).detach().contiguous()
    return Head(matrix, scale, labels, tower)


def classifier(base: Tensor, residual: Tensor, alpha: float | Tensor) -> Tensor:
    """t' = t + alpha x, [K,D], not normalised."""
    return base + alpha * residual


def logits(features: Tensor, rows: Tensor, scale: float) -> Tensor:
    """exp(s) cos(f, t'), [B,K], of features [B,D] and rows [K,D] of any norm; `scale` is exp(s)."""
    return scale * unit(features) @ unit(rows).T


def unit(rows: Tensor) -> Tensor:
    """Rows divided by their L2 norms; as in the public code no epsilon, so a zero row becomes NaN."""
    turned: Tensor = rows / rows.norm(dim=-1, keepdim=True)
    return turned


def scores(features: Tensor, matrix: Tensor, scale: float) -> Tensor:
    """Softmax over the classes, [B,K], of features [B,D] and a matrix of unit rows."""
    return torch.softmax(scale * unit(features) @ matrix.T, dim=-1)
