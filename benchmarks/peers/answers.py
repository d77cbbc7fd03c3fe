"""The simulated model's answers: a row's own picture, marked with its task, so that a mix-up shows."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
TASKS: Final = ("colorization", "identity", "inpaint", "lowlight_enhance", "segmentation")


def painted(tiles: Pixels, tasks: Sequence[int]) -> Pixels:
    """uint8 [B,H,W,3] and the number of each row's task -> the same shape, bits turned by the task's number."""
    marks = (np.array(tasks) << 5).astype(np.uint8)
    return np.bitwise_xor(tiles, marks.reshape(-1, 1, 1, 1))
