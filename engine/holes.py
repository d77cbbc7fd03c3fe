"""Holes: where a picture is to be painted, what the model is shown of it, and how its answer is put in.

A hole is bool [H,W] at the picture's own size, of any shape, in one piece or several.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import NothingToFill
from engine.geometry import WHITE, Pixels
from engine.membrane import Planes, membrane, shrunk
from engine.refine import STRIP_PIXELS

Hole = NDArray[np.bool_]
Box = tuple[slice, slice]
"""Rows and columns of a picture."""

LEAST_SHARE: Final = 0.0025
"""Of the picture's pixels: smaller black regions are taken for part of it."""
_BLACK: Final = 4
"""Grey levels up to which a pixel may be a hole's after JPEG compression."""
_NEARLY: Final = 24
"""The same where noise comes into it from the hole's border."""
_BLOCK: Final = 8
"""Pixels that this noise reaches: JPEG's blocks."""
_RIM: Final = 2
"""Pixels around a compressed hole that its black has spread to."""
_SHARP: Final = 0.5
"""A border of which less than this share is nearly black was never compressed."""
SHARE: Final = 0.25
"""The hole's longer extent, as a share of the side of what the model is shown: published holes have it."""
_WORKING_SIDE: Final = 512
"""Pixels: a larger hole's membrane is found on a smaller picture, as it is smooth."""
_MARGIN: Final = 4
"""Pixels around a hole that its membrane is fixed to."""
_SQUARE: Final = np.ones((3, 3), np.uint8)


def hole_of(picture: Pixels, mask: Pixels | None) -> Hole:
    """Where a mask [H,W,3] of the picture's size is white, else the picture's black regions; raises NothingToFill."""
    if mask is None:
        hole = find_hole(picture)
        if not hole.any():
            raise NothingToFill("There is no black region to fill in: send a mask, white where to paint.")
        return hole
    if mask.shape != picture.shape:
        raise NothingToFill("The mask must have the size of its image.")
    white: Hole = mask.max(-1) > WHITE // 2
    if not white.any():
        raise NothingToFill("The mask is white nowhere: there is nothing to fill in.")
    return white


def find_hole(picture: Pixels) -> Hole:
    """The black regions of a picture [H,W,3]; all false where there are none.

    Exact black of some size with a sharp border is a hole as it was cut. Otherwise the picture may have been
    compressed: then nearly black regions with the noise around them.
    """
    brightest = cv2.max(cv2.max(picture[..., 0], picture[..., 1]), picture[..., 2])
    exact = _regions(brightest == 0)
    if exact.any():
        border = brightest[_dilated(exact, 1) & ~exact]
        if border.size and np.mean(border <= _NEARLY) < _SHARP:
            corners = _dilated(exact, 1) & (brightest == 0)  # which looking for regions has cut off
            whole: Hole = exact | corners
            return whole
    seeds = _regions(brightest <= _BLACK)
    if not seeds.any():
        return seeds
    near = seeds | (_dilated(seeds, _BLOCK) & (brightest <= _NEARLY))
    count, labels = cv2.connectedComponents(near.view(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[labels[seeds]] = True
    return _dilated(kept[labels], _RIM)


def view(hole: Hole) -> Box:
    """The part of the picture that the model is shown: a square around the hole, as far as the picture goes."""
    rows, columns = bounds(hole)
    side = round(max(rows.stop - rows.start, columns.stop - columns.start) / SHARE)
    return _around(rows, side, hole.shape[0]), _around(columns, side, hole.shape[1])


def bounds(hole: Hole) -> Box:
    """The smallest box around a hole that is not empty."""
    left, top, width, height = cv2.boundingRect(hole.view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def blacken(cell: Pixels, hole: Hole) -> Pixels:
    """A cell [h,w,3] of a picture with the hole's pixels black, and those beside them: the resize has mixed these."""
    share = cv2.resize(hole.astype(np.float32), cell.shape[1::-1], interpolation=cv2.INTER_AREA)
    if share.shape[0] > hole.shape[0] or share.shape[1] > hole.shape[1]:  # that one enlarges to whole pixels
        share = cv2.resize(hole.astype(np.float32), cell.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(_dilated(np.asarray(share) > 0, 1)[..., None], np.uint8(0), cell)


def fill(answer: Pixels, picture: Pixels, hole: Hole, box: Box, detail: float) -> Pixels:
    """The picture [H,W,3] with its hole filled; pixels outside the hole stay as they are.

    `answer` [cell,cell,3] is of the part `box`. `detail` 1 keeps all of its structure, 0 none: what is left then is
    the membrane through the hole's border.
    """
    out = picture.copy()
    if not hole.any():
        return out
    scaled = np.multiply(answer, detail, dtype=np.float32)
    window = _grown(bounds(hole), hole.shape)
    offset = _offset(scaled, picture[window], hole[window], box, window)
    step = max(1, STRIP_PIXELS // (window[1].stop - window[1].start))
    for top in range(window[0].start, window[0].stop, step):
        strip = slice(top, min(top + step, window[0].stop)), window[1]
        painted = _part(scaled, box, strip, cv2.INTER_CUBIC) + _part(offset, window, strip, cv2.INTER_LINEAR)
        # The absolute value: what is below black is black.
        cv2.copyTo(cv2.convertScaleAbs(np.maximum(painted, 0)), hole[strip].view(np.uint8), out[strip])
    return out


def _offset(answer: Planes, around: Pixels, inside: Hole, box: Box, window: Box) -> Planes:
    """The membrane through the differences at the hole's border: [h,w,3], smaller than the window where that is large.

    Zero where there is no border.
    """
    height, width = inside.shape
    if inside.all():
        return np.zeros((1, 1, 3), np.float32)
    scale = min(1, _WORKING_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    values, known = shrunk(around.astype(np.float32), ~inside, size)
    return membrane(values - _part(answer, box, window, cv2.INTER_CUBIC, size), known)


def _part(source: Planes, box: Box, window: Box, how: int, size: tuple[int, int] | None = None) -> Planes:
    """The window's pixels of `source` [h,w,3], which covers `box` of the picture; as `size` (width, height) pixels."""
    width, height = size or (window[1].stop - window[1].start, window[0].stop - window[0].start)
    place = np.zeros((2, 3))
    for axis, wanted in ((1, width), (0, height)):
        start, length = window[axis].start - box[axis].start, window[axis].stop - window[axis].start
        ratio = source.shape[axis] / (box[axis].stop - box[axis].start)
        step = length / wanted
        place[1 - axis, 1 - axis], place[1 - axis, 2] = ratio * step, (start + step / 2) * ratio - 0.5
    flags = how | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(source, place, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(part, np.float32)


def _regions(black: Hole) -> Hole:
    """Connected regions that are large enough to be a hole, without lines of one or two pixels."""
    opened = cv2.morphologyEx(black.view(np.uint8), cv2.MORPH_OPEN, _SQUARE)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= LEAST_SHARE * black.size
    large[0] = False  # what is not black
    kept: Hole = large[labels]
    return kept


def _dilated(hole: Hole, reach: int) -> Hole:
    return np.asarray(cv2.dilate(hole.view(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))) > 0


def _grown(box: Box, shape: tuple[int, ...]) -> Box:
    rows, columns = (
        slice(max(0, span.start - _MARGIN), min(size, span.stop + _MARGIN))
        for span, size in zip(box, shape, strict=True)
    )
    return rows, columns


def _around(span: slice, side: int, size: int) -> slice:
    """`side` of `size` pixels with `span` in the middle, moved where they would leave the picture."""
    side = min(side, size)
    start = min(max(0, (span.start + span.stop - side) // 2), size - side)
    return slice(start, start + side)
