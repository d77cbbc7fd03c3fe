"""A smooth surface through known values: what a hole's border says about its inside.

The discrete Laplace equation, solved from coarse to fine: each level starts from the coarser one and is relaxed a few
times. Added to a painted patch, the membrane of the differences at its border makes it meet what lies around
(Perez, Gangnet and Blake, Poisson Image Editing, 2003; Farbman et al., Convolution Pyramids, 2011).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]
_STEPS: Final = 4
"""Relaxations a level."""
_LEAST: Final = np.float32(1e-3)
"""Share of a pixel that is known, from which its mean is."""
_NEIGHBOURS: Final = np.array([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]], np.float32)


def membrane(values: Planes, known: NDArray[np.bool_]) -> Planes:
    """Values [H,W,C] where `known` [H,W], which must be so somewhere -> [H,W,C]: these, smoothly continued."""
    height, width = known.shape
    known = known[..., None]
    values = np.where(known, values, np.float32(0))
    if known.all():
        return values
    if max(height, width) <= 2:
        return np.where(known, values, values.sum((0, 1)) / np.float32(known.sum()))
    size = ((width + 1) // 2, (height + 1) // 2)
    coarse = membrane(*shrunk(values, known[..., 0], size))
    surface = np.where(known, values, _planes(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)))
    for _ in range(_STEPS):
        around = _planes(cv2.filter2D(surface, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE))
        surface = np.where(known, values, around)
    return surface


def shrunk(values: Planes, known: NDArray[np.bool_], size: tuple[int, int]) -> tuple[Planes, NDArray[np.bool_]]:
    """Means of the known values over the pixels of a picture of `size` (width, height), and where there are any."""
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = _planes(cv2.resize(np.where(known[..., None], values, np.float32(0)), size, interpolation=cv2.INTER_AREA))
    return np.divide(total, np.maximum(share, _LEAST)[..., None], dtype=np.float32), share > _LEAST


def _planes(picture: object) -> Planes:
    """OpenCV drops the last axis of pictures of one channel, and its type."""
    planes: Planes = np.asarray(picture, np.float32)
    return planes if planes.ndim == 3 else planes[..., None]
