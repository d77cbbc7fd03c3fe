"""The base of class names for a tower whose texts are mapped sentence vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from artifacts.store.residual import TaskResidual
from artifacts.taskres.sentences import sentence_vectors
from artifacts.taskres.templates import filled
from artifacts.taskres.text_map import TextMap


def mapped_base(texts: TextMap, names: Sequence[str], templates: Sequence[str]) -> TaskResidual:
    """A task without a residual. Names that the tower's classifier has take its own rows; raises OfflineError."""
    own = {_plain(label): row for label, row in zip(texts.labels, texts.rows, strict=True)}
    new = [name for name in names if _plain(name) not in own]
    rows = own | dict(zip(map(_plain, new), _mapped(texts, new, templates), strict=True))
    base = torch.stack([rows[_plain(name)] for name in names])
    return TaskResidual(base, torch.zeros_like(base), 1.0, texts.scale, tuple(names), texts.tower)


def own_base(texts: TextMap) -> TaskResidual:
    """The task of all classes that the tower's classifier was trained on."""
    return TaskResidual(texts.rows, torch.zeros_like(texts.rows), 1.0, texts.scale, texts.labels, texts.tower)


def mean_vectors(names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Mean sentence vector [N,E] of each name over its templates."""
    vectors = sentence_vectors([text for name in names for text in filled(templates, name)])
    return vectors.reshape(len(names), len(templates), -1).mean(1)


def _mapped(texts: TextMap, names: Sequence[str], templates: Sequence[str]) -> list[Tensor]:
    return list(texts.mapped(mean_vectors(names, templates))) if names else []


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()
