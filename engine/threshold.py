"""Masks in black and white."""

import cv2
import numpy as np

from engine.geometry import WHITE, Pixels
from engine.task_vector import OTSU


def cut(mask: Pixels, threshold: float | str) -> Pixels:
    """White where a mask uint8 [H,W,3] is at least as bright as `threshold`, black elsewhere.

    `otsu`: where its own histogram is parted best (Otsu, A Threshold Selection Method from Gray-Level Histograms,
    1979); a mask of one brightness is cut at the half.
    """
    total = mask.astype(np.uint16).sum(-1, dtype=np.uint16)
    if threshold == OTSU and total.min() < total.max():
        gray = ((total + 1) // 3).astype(np.uint8)
        level, _ = cv2.threshold(gray, 0, WHITE, cv2.THRESH_OTSU)
        white = gray > level
    else:
        white = total >= 3 * WHITE * (0.5 if threshold == OTSU else float(threshold))
    return np.repeat(np.where(white, np.uint8(WHITE), np.uint8(0))[..., None], 3, -1)
