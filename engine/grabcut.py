"""Masks cut out by colour: GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), seeded by the model's answer.

The answer, guided to the query's edges, says where object and background are sure, and which is likelier elsewhere.
Mixtures of colours are learnt from the two, and a minimum cut parts them: one piece, flat, with a border where the
picture has one. The cut is made on a small picture, as its time grows faster than the pixels; a guided filter of a few
pixels brings it to the query's size.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.geometry import WHITE, Pixels
from engine.guided_picture import guided

_Labels = NDArray[np.uint8]

_SHARE, _LARGEST, _SMALLEST = 0.7, 160, 8
"""The cut's longer side is this share of the query's, at most so many pixels; no side may have fewer than the last."""
_LEARNT: Final = 64
"""Pixels on the longer side of what the colours are learnt from."""
_SURE: Final = 0.5
"""Of the way from the mask's own threshold to black and to white, beyond which a pixel keeps its side."""
_LEAST: Final = 10
"""Pixels on either side, below which there are no colours to learn."""
_LEFT: Final = 0.1
"""Share of a side that a cut must leave: with less it found nothing to part the picture by."""
_NOWHERE: Final = (0, 0, 0, 0)
"""A rectangle that GrabCut does not look at where it has labels."""
_RADIUS, _EPS = 4, 1e-4
"""Of the guided filter from the cut's size to the query's."""


def grabcut(answer: Pixels, query: Pixels, radius: int, eps: float) -> Pixels:
    """Mask uint8 [h,w,3] -> uint8 [H,W,3] at the size of `query` uint8 [H,W,3], black and white but for the border.

    `radius` and `eps` are of the guided filter that makes the seeds. Where one side has next to no pixels, where the
    cut leaves it next to none, and on pictures of a few pixels, the seeds' likelier side is the answer. The same input
    gives the same bytes.
    """
    gray = np.asarray(cv2.transform(answer, np.full((1, 3), 1 / 3, np.float32)), np.uint8)
    small = _shrunk(query)
    labels = _labels(guided(gray, small, radius, eps))
    found = _object(labels)
    if min(small.shape[:2]) >= _SMALLEST:
        found = _cut(small, labels)
    mask = guided(found.astype(np.uint8) * WHITE, query, _RADIUS, _EPS, small=small)
    return np.repeat(mask[..., None], 3, -1)


def _shrunk(query: Pixels) -> Pixels:
    height, width = query.shape[:2]
    scale = min(_SHARE, _LARGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(query, size, interpolation=cv2.INTER_AREA), np.uint8)


def _labels(soft: Pixels) -> _Labels:
    """OpenCV's four labels for a soft mask [h,w]: object and background, sure and likely."""
    level, _ = cv2.threshold(soft, 0, WHITE, cv2.THRESH_OTSU)
    labels = np.where(soft > level, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[soft > level + _SURE * (WHITE - level)] = cv2.GC_FGD
    labels[soft < _SURE * level] = cv2.GC_BGD
    return labels


def _object(labels: _Labels) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = labels & 1 == 1  # GC_FGD is 1, GC_PR_FGD is 3
    return found


def _cut(picture: Pixels, labels: _Labels) -> NDArray[np.bool_]:
    """The object among the labels [h,w] of a picture [h,w,3]."""
    likely = _object(labels)
    scale = min(1.0, _LEARNT / max(labels.shape))
    size = max(1, round(labels.shape[1] * scale)), max(1, round(labels.shape[0] * scale))
    known = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    inside = int(_object(known).sum())
    if min(inside, known.size - inside) < _LEAST:
        return likely
    cv2.setRNGSeed(0)  # colours are grouped from random starts
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    sample = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.grabCut(sample, known, _NOWHERE, background, foreground, 0, cv2.GC_INIT_WITH_MASK)
    cv2.grabCut(picture, labels, _NOWHERE, background, foreground, 1, cv2.GC_EVAL_FREEZE_MODEL)
    found = _object(labels)
    lost = found.sum() < _LEFT * likely.sum() or (~found).sum() < _LEFT * (~likely).sum()
    return likely if lost else found
