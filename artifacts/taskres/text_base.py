"""The base of class names for a tower whose texts are mapped sentence vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from artifacts.store.residual import TaskResidual
from artifacts.taskres.base import base_of
from artifacts.taskres.sentences import sentence_vectors
from artifacts.taskres.templates import filled
from artifacts.taskres.text_map import TextMap


class MappedTexts:
    """The class texts of a text map; names that the tower's classifier has take its own rows in the regular base."""

    def __init__(self, texts: TextMap) -> None:
        self.texts, self.scale, self.tower = texts, texts.scale, texts.tower

    @property
    def projection(self) -> Tensor:
        """The map [E,D]."""
        return self.texts.weight

    def hidden(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> Tensor:
        """Sentence vectors less their mean, [K,T,E]."""
        texts = [text for name in names for text in filled(templates, name, keep_underscores)]
        return (sentence_vectors(texts) - self.texts.text_mean).reshape(len(names), len(templates), -1)

    def base(self, names: Sequence[str], templates: Sequence[str], keep_underscores: bool = False) -> TaskResidual:
        """All rows as long as the classifier's in the mean."""
        own = {_plain(label): row for label, row in zip(self.texts.labels, self.texts.rows, strict=True)}
        new = [name for name in names if _plain(name) not in own]
        if new:
            mapped = self.texts.mapped(self.hidden(new, templates, keep_underscores).mean(1))
            own |= dict(zip(map(_plain, new), mapped, strict=True))
        return base_of(torch.stack([own[_plain(name)] for name in names]), self.scale, names, self.tower)

    def own_classes(self) -> TaskResidual:
        """The task of all classes that the tower's classifier was trained on."""
        return base_of(self.texts.rows, self.scale, self.texts.labels, self.tower)


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()
