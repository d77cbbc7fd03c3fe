"""Refinement of one answer on the processor: what engine.refine does, and what it does not."""

from typing import Final

import cv2
import numpy as np
from PIL import Image

from engine.geometry import Pixels
from engine.grabcut import grabcut
from engine.guided_picture import guided
from engine.holes import Box, Hole, fill, find_hole
from engine.task_vector import AnswerSettings

_GRAY: Final = 128
"""Of a colour difference: none."""


def refine(
    answer: Pixels, query: Pixels, settings: AnswerSettings, hole: Hole | None = None, box: Box | None = None
) -> Pixels:
    """Answer uint8 [cell,cell,3] -> uint8 [H,W,3] at the size of `query` uint8 [H,W,3].

    `hole` bool [H,W] is what there is to fill, by default the query's black regions; the answer is of the part `box`,
    by default of the whole query.
    """
    match settings.refine:
        case "guided":
            return _guided(answer, query, settings)
        case "grabcut":
            return grabcut(answer, query, settings.radius, settings.eps)
        case "luma":
            return _luma(_guided(answer, query, settings), query, settings.chroma)
        case "hole":
            whole = slice(0, query.shape[0]), slice(0, query.shape[1])
            return fill(answer, query, find_hole(query) if hole is None else hole, box or whole, settings.detail)
        case _:
            return _resized(answer, query.shape)


def _guided(answer: Pixels, query: Pixels, settings: AnswerSettings) -> Pixels:
    return guided(answer, query, settings.radius, settings.eps, settings.smooth)


def _luma(coloured: Pixels, query: Pixels, chroma: float) -> Pixels:
    """The query's brightness with `chroma` times the colours of another picture of its size."""
    out = cv2.cvtColor(coloured, cv2.COLOR_RGB2YCrCb)
    scaled = np.clip(np.rint(_GRAY + chroma * (np.arange(256) - _GRAY)), 0, 255).astype(np.uint8)
    out[..., 1:] = scaled[out[..., 1:]]
    cv2.insertChannel(cv2.cvtColor(query, cv2.COLOR_RGB2GRAY), out, 0)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_YCrCb2RGB), np.uint8)


def _resized(answer: Pixels, shape: tuple[int, ...]) -> Pixels:
    if answer.shape == shape:
        return answer
    return np.array(Image.fromarray(answer).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
