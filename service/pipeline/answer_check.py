"""A look at what the engine painted: a broken engine or vector gives one colour, whatever the picture shows."""

from typing import Final

from engine.geometry import Pixels

_STEP: Final = 10
_WITHIN_QUERY: Final = 100
"""Rows from below and columns from the left that belong to the query, in a tile and in a whole canvas."""
_LEAST_CONTRAST: Final = 64
"""Between a query's darkest and lightest values; of less than that one colour may be a right answer."""


def is_bad(answer: Pixels, pixels: Pixels) -> bool:
    """Whether an answer, uint8 [111, 111, 3], has one colour throughout although its query has not.

    `pixels` are the model's input, uint8 [112, 112, 3] or [224, 224, 3]. Values that are not finite look so, too: as
    whole numbers they are 0. A good answer costs a glance at a hundredth of it.
    """
    colour = answer[0, 0]
    if (answer[::_STEP, ::_STEP] != colour).any() or (answer != colour).any():
        return False
    query = pixels[-_WITHIN_QUERY:, :_WITHIN_QUERY]
    return int(query.max()) - int(query.min()) >= _LEAST_CONTRAST
