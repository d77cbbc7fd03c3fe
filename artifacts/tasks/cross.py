"""Cross tasks: the same views paired otherwise, so that in training a query alone does not tell what is asked."""

from artifacts.tasks.views import (
    View,
    blank,
    cutout,
    dark,
    dark_hole,
    gray,
    hole,
    inverse_mask,
    mask,
    negative,
    picture,
    tinted_mask,
)

CROSS_TASKS: tuple[tuple[View, View], ...] = (
    (gray, gray),
    (gray, mask),
    (gray, dark),
    (dark, dark),
    (dark, mask),
    (dark, gray),
    (hole, hole),
    (hole, mask),
    (dark_hole, picture),
    (picture, gray),
    (picture, dark),
    (picture, negative),
    (picture, inverse_mask),
    (picture, tinted_mask),
    (picture, cutout),
    (picture, blank),
)
"""(query view, answer view)."""
CROSS_SHARE = 0.26
"""How often training draws a cross task, on the scale of `Task.training_share`; they share it equally."""
