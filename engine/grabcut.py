"""Masks cut out by colour: GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), seeded by the model's answer.

The answer, guided to the query's edges, says where object and background are sure, and which is likelier elsewhere;
on the picture's border likelier background is sure to be, as what people photograph seldom reaches there.
Mixtures of colours are learnt from the two, and a minimum cut parts them: flat pieces, with a border where the picture
has one. Specks are dropped and small holes filled. The cut is made on a small picture, as its time grows faster than
the pixels; a guided filter of a few pixels brings it to the query's size. Thumbnails have no cut: it gains little on
them, and they are asked for by the hundred.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.geometry import WHITE, Pixels
from engine.guided_picture import guided

_Labels = NDArray[np.uint8]
_Mask = NDArray[np.bool_]

_SIDE: Final = 128
"""Pixels on the longer side of what is cut, and of the smallest picture that is."""
_BORDER: Final = 3
"""Pixels from the edge of what is cut: where the likelier background is background."""
_LEARNT: Final = 64
"""Pixels on the longer side of what the colours are learnt from."""
_SURELY_IN, _SURELY_OUT = 0.5, 0.3
"""Of the way from the mask's own threshold to white and to black, beyond which a pixel keeps its side."""
_LEAST: Final = 10
"""Pixels on either side, below which there are no colours to learn."""
_LEFT: Final = 0.1
"""Share of a side that a cut must leave: with less it found nothing to part the picture by."""
_SMALL: Final = 0.1
"""Of the largest piece: what is a speck; of the object: what is a hole to fill."""
_NOWHERE: Final = (0, 0, 0, 0)
"""A rectangle that GrabCut does not look at where it has labels."""
_RADIUS, _EPS = 4, 1e-4
"""Of the guided filter from the cut's size to the query's."""


def grabcut(answer: Pixels, query: Pixels, radius: int, eps: float) -> Pixels:
    """Mask uint8 [h,w,3] -> uint8 [H,W,3] at the size of `query` uint8 [H,W,3], black and white but for the border.

    `radius` and `eps` are of the guided filter that makes the seeds. On thumbnails, where one side has next to no
    pixels, and where the cut leaves it next to none, the seeds' likelier side is the answer. The same input gives the
    same bytes.
    """
    gray = np.asarray(cv2.transform(answer, np.full((1, 3), 1 / 3, np.float32)), np.uint8)
    scale = min(1.0, _SIDE / max(query.shape[:2]))
    small = query if scale == 1 else _scaled(query, scale)
    labels = _labels(guided(gray, small, radius, eps))
    found = _tidy(_object(labels) if max(query.shape[:2]) < _SIDE else _cut(small, labels))
    mask = found.astype(np.uint8) * np.uint8(WHITE)
    if small is not query:
        mask = guided(mask, query, _RADIUS, _EPS, small=small)
    return np.repeat(mask[..., None], 3, -1)


def _scaled(picture: Pixels, scale: float, how: int = cv2.INTER_AREA) -> Pixels:
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def _labels(soft: Pixels) -> _Labels:
    """OpenCV's four labels for a soft mask [h,w]: object and background, sure and likely."""
    level, _ = cv2.threshold(soft, 0, WHITE, cv2.THRESH_OTSU)
    labels = np.where(soft > level, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[soft > level + _SURELY_IN * (WHITE - level)] = cv2.GC_FGD
    labels[soft < (1 - _SURELY_OUT) * level] = cv2.GC_BGD
    for edge in (labels[:_BORDER], labels[-_BORDER:], labels[:, :_BORDER], labels[:, -_BORDER:]):
        edge[edge == cv2.GC_PR_BGD] = cv2.GC_BGD
    return labels


def _object(labels: _Labels) -> _Mask:
    found: _Mask = labels & 1 == 1  # GC_FGD is 1, GC_PR_FGD is 3
    return found


def _cut(picture: Pixels, labels: _Labels) -> _Mask:
    """The object among the labels [h,w] of a picture [h,w,3]."""
    likely = _object(labels)
    scale = min(1.0, _LEARNT / max(labels.shape))
    known = _scaled(labels, scale, cv2.INTER_NEAREST)
    inside = int(_object(known).sum())
    if min(inside, known.size - inside) < _LEAST:
        return likely
    cv2.setRNGSeed(0)  # colours are grouped from random starts
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(_scaled(picture, scale), known, _NOWHERE, background, foreground, 0, cv2.GC_INIT_WITH_MASK)
    cv2.grabCut(picture, labels, _NOWHERE, background, foreground, 1, cv2.GC_EVAL_FREEZE_MODEL)
    found = _object(labels)
    lost = found.sum() < _LEFT * likely.sum() or (~found).sum() < _LEFT * (~likely).sum()
    return likely if lost else found


def _tidy(mask: _Mask) -> _Mask:
    """Without specks, and without small holes inside."""
    pieces, areas, _ = _pieces(mask)
    if areas.size > 1:
        mask = (areas >= _SMALL * areas.max())[pieces - 1] & mask
    holes, areas, inside = _pieces(~mask)
    filled = (areas < _SMALL * mask.sum()) & inside
    return mask | (filled[holes - 1] & ~mask) if filled.any() else mask


def _pieces(mask: _Mask) -> tuple[NDArray[np.int32], NDArray[np.int32], _Mask]:
    """Connected pieces [h,w], numbered from 1; by number their areas, and whether they keep off the picture's edge."""
    _, numbers, rows, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    left, top, width, height, areas = np.asarray(rows, np.int32)[1:].T
    inside = (left > 0) & (top > 0) & (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    return np.asarray(numbers, np.int32), areas, inside
