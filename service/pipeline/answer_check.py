"""A look at what the engine made: a broken engine or vector paints one colour, whatever the picture shows."""

from typing import Final

import numpy as np

from engine.geometry import Pixels
from engine.runner import Row

_STEP: Final = 10
_WITHIN_QUERY: Final = 100
"""Rows from below and columns from the left that belong to the query, in a tile and in a whole canvas."""
_LEAST_CONTRAST: Final = 64
"""Between a query's darkest and lightest values; of less than that one colour is a right answer."""


def looks_bad(answer: Row, pixels: Pixels) -> bool:
    """Whether what was made of a picture is what a broken engine, slot or vector makes.

    Scores float32 [C]: they are not finite. An answer uint8 [111, 111, 3]: it has one colour throughout although its
    query has not; `pixels` are the model's input, uint8 [112, 112, 3] or [224, 224, 3]. Values that were not finite
    look so, too: as whole numbers they are 0. A good answer costs a glance at a hundredth of it.
    """
    if answer.ndim == 1:
        return not np.isfinite(answer).all()
    if not one_colour(answer):
        return False
    query = pixels[-_WITHIN_QUERY:, :_WITHIN_QUERY]
    return int(query.max()) - int(query.min()) >= _LEAST_CONTRAST


def one_colour(answer: Row) -> bool:
    """Of an answer uint8 [111, 111, 3]."""
    glance = answer[::_STEP, ::_STEP].tobytes()  # compared as bytes, which NumPy would take ten times as long for
    return glance == glance[:3] * (len(glance) // 3) and not (answer != answer[0, 0]).any()


def none_is_an_answer(answers: list[Row]) -> bool:
    """Whether nothing of what was made of pictures that differ widely depends on them: each is of one colour, the same
    for all; or no scores are finite."""
    first = answers[0]
    if first.ndim == 1:
        return not any(np.isfinite(answer).all() for answer in answers)
    return all(one_colour(answer) and (answer[0, 0] == first[0, 0]).all() for answer in answers)
