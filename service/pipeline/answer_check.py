"""A look at what the engine made: a broken engine or vector paints the same, mostly one colour, of every picture."""

from typing import Final

import numpy as np

from engine.geometry import Pixels
from engine.runner import Row

_STEP: Final = 10
_WITHIN_QUERY: Final = 100
"""Rows from below and columns from the left that belong to the query, in a tile and in a whole canvas."""
LEAST_CONTRAST: Final = 64
"""Between a query's darkest and lightest values; of less than that one colour is a right answer. Between two
queries: of less than that the same answer is."""
_ROUNDING: Final = 4
"""Levels by which answers differ that are the same: batches of different sizes are rounded differently."""


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
    query = query_of(pixels)
    return int(query.max()) - int(query.min()) >= LEAST_CONTRAST


def one_colour(answer: Row) -> bool:
    """Of an answer uint8 [111, 111, 3]."""
    few = glance(answer).tobytes()  # compared as bytes, which NumPy would take ten times as long for
    return few == few[:3] * (len(few) // 3) and not (answer != answer[0, 0]).any()


def query_of(pixels: Pixels) -> Pixels:
    """The part of the model's input that surely belongs to the query."""
    return pixels[-_WITHIN_QUERY:, :_WITHIN_QUERY]


def glance(picture: Pixels) -> Pixels:
    """A copy of a hundredth of it."""
    return picture[::_STEP, ::_STEP].copy()


def alike(one: Pixels, other: Pixels, within: int = _ROUNDING) -> bool:
    """Whether no value of two pictures of one size differs by more."""
    return int(np.abs(one.astype(np.int16) - other).max()) <= within


def none_is_an_answer(answers: list[Row]) -> bool:
    """Whether nothing of what was made of pictures that differ widely depends on them: two or more are alike; or no
    scores are finite."""
    first = answers[0]
    if first.ndim == 1:
        return not any(np.isfinite(answer).all() for answer in answers)
    return all(alike(answer, first) for answer in answers)
