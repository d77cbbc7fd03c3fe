"""Few shots: so many pictures a class, drawn as CoOp's public code draws them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SHOTS = (1, 2, 4, 8, 16)
MOST_VALIDATION = 4
"""Pictures a class to choose settings on; fewer where there are fewer shots."""


@dataclass(frozen=True, slots=True)
class FewShots:
    """Row numbers to train on, and to choose settings on: of the validation split, or else of the training split."""

    train: tuple[int, ...]
    validation: tuple[int, ...]


def few_shots(train: Sequence[int], validation: Sequence[int] | None, shots: int, seed: int) -> FewShots:
    """From the labels of a training split and, where there is one, of a validation split.

    Python's generator, seeded once, draws the training pictures and then those for validation. The public code
    gives the same pictures for the same seed, where it draws nothing before. Without a validation split the second
    draw is from what the first one left.
    """
    rng = random.Random(seed)
    chosen = _draw(list(enumerate(train)), shots, rng)
    if validation is None:
        rest = [(row, label) for row, label in enumerate(train) if row not in set(chosen)]
        return FewShots(chosen, _draw(rest, min(shots, MOST_VALIDATION), rng))
    return FewShots(chosen, _draw(list(enumerate(validation)), min(shots, MOST_VALIDATION), rng))


def _draw(rows: list[tuple[int, int]], shots: int, rng: random.Random) -> tuple[int, ...]:
    """Class by class in the order of first appearance; of a class with too few pictures all of them."""
    by_label: dict[int, list[int]] = {}
    for row, label in rows:
        by_label.setdefault(label, []).append(row)
    return tuple(row for own in by_label.values() for row in (rng.sample(own, shots) if len(own) >= shots else own))
