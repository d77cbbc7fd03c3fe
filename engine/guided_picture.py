"""The guided filter on one picture on the processor: what `engine.refine.guided` does, several times as fast.

The two differ by rounding, where a picture is made smaller than it is by less than half (windows of whole pixels
there, of shares of pixels here), and in wide windows: these are fitted around every third pixel here, as their
coefficients change less than could be seen from one pixel to the next.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine.geometry import Pixels
from engine.refine import STRIP_PIXELS, resize

_Planes = NDArray[np.float32]
_WIDE: Final = 16
"""Pixels; the radius from which windows are fitted around the middles of blocks only."""
_BLOCK: Final = 3
"""Pixels a side."""
_HARDLY: Final = 1.1
"""Times smaller, up to which two neighbours are all that a pixel is made of."""


def guided(
    answer: Pixels, query: Pixels, radius: int, eps: float, smooth: int = 0, small: Pixels | None = None
) -> Pixels:
    """Answer uint8 [h,w,3], or [h,w], at the size and with the edges of `query` uint8 [H,W,3].

    `small`: the query at the answer's size, where it is there already.
    """
    guide = _at_size_of(query, answer.shape) if small is None else _planes(small)
    target = _planes(answer)
    if smooth:
        guide, target = (_means(_means(planes, smooth, 1), smooth, 1) for planes in (guide, target))
    height, width = answer.shape[:2]
    step = _BLOCK if radius >= _WIDE and height % _BLOCK == width % _BLOCK == 0 else 1
    coefficients = _means(_fit(guide, target, radius, eps, step), radius, step)
    coefficients[3 * len(target) :] *= 255
    return _apply(coefficients, query)


def _at_size_of(query: Pixels, shape: tuple[int, ...]) -> _Planes:
    """Query in [0, 1] at the answer's size: [3,h,w]."""
    if query.shape[:2] == shape[:2]:
        return _planes(query)
    if query.shape[0] > shape[0] and query.shape[1] > shape[1]:
        hardly = query.shape[0] < _HARDLY * shape[0] and query.shape[1] < _HARDLY * shape[1]
        how = cv2.INTER_LINEAR if hardly else cv2.INTER_AREA  # a third of the time, and within one grey level
        small = cv2.resize(query.astype(np.float32), (shape[1], shape[0]), interpolation=how)
        return np.stack(cv2.split(small)) / np.float32(255)
    planes: _Planes = resize(torch.from_numpy(_planes(query))[None], shape[:2])[0].numpy()
    return planes


def _planes(pixels: Pixels) -> _Planes:
    """uint8 [H,W,C], or [H,W] -> [C,H,W] in [0, 1]."""
    return np.stack(cv2.split(pixels)) / np.float32(255)


def _fit(guide: _Planes, answer: _Planes, radius: int, eps: float, step: int) -> _Planes:
    """Local least-squares fit of the answer given the guide, around the middle of each block of `step` pixels a side.

    Slope (answer channel major), then offset: [4C, h / step, w / step], for an answer [C,h,w]. In place wherever that
    is possible: planes of this size fit a cache, many of them do not.
    """
    means, count = _means(_blocks(_moments(guide, answer), step), radius, step), len(answer)
    shape = means.shape[1:]
    mean_guide, variance, mean_answer = means[:3], means[3:9], means[9 : 9 + count]
    covariance = means[9 + count :].reshape(count, 3, *shape)
    spare = np.empty((9, *shape), np.float32)
    variance -= _cross(mean_guide, spare[:6])
    variance[[0, 3, 5]] += eps
    covariance -= np.multiply(mean_answer[:, None], mean_guide, out=spare[: 3 * count].reshape(count, 3, *shape))
    inverse = _inverse(variance, spare[:6])
    fit = np.empty((4 * count, *shape), np.float32)
    slope, offset = fit[: 3 * count].reshape(count, 3, *shape), fit[3 * count :]
    offset[:] = mean_answer
    product = spare[6 : 6 + count]
    for source, row in enumerate(((0, 1, 2), (1, 3, 4), (2, 4, 5))):
        along = slope[:, source]
        np.multiply(covariance[:, 0], inverse[row[0]], out=along)
        along += np.multiply(covariance[:, 1], inverse[row[1]], out=product)
        along += np.multiply(covariance[:, 2], inverse[row[2]], out=product)
        offset -= np.multiply(along, mean_guide[source], out=product)
    return fit


def _moments(guide: _Planes, answer: _Planes) -> _Planes:
    """Guide, its products with itself (`_cross`), answer [C,h,w], its products with the guide: [9+4C,h,w]."""
    count = len(answer)
    out = np.empty((9 + 4 * count, *guide.shape[1:]), np.float32)
    out[:3], out[9 : 9 + count] = guide, answer
    _cross(guide, out[3:9])
    np.multiply(answer[:, None], guide, out=out[9 + count :].reshape(count, 3, *guide.shape[1:]))
    return out


def _cross(planes: _Planes, out: _Planes) -> _Planes:
    """The six products of three planes with each other: upper triangle, row by row."""
    np.multiply(planes[0], planes, out=out[:3])
    np.multiply(planes[1], planes[1:], out=out[3:5])
    np.multiply(planes[2], planes[2], out=out[5])
    return out


def _inverse(matrix: _Planes, out: _Planes) -> _Planes:
    """Of symmetric 3x3 matrices, one a pixel: upper triangles [6,h,w], row by row, in closed form."""
    rr, rg, rb, gg, gb, bb = matrix
    first = (gg, bb, gb, gb), (gb, rb, rg, bb), (rg, gb, gg, rb)
    rest = (rr, bb, rb, rb), (rb, rg, rr, gb), (rr, gg, rg, rg)
    product = np.empty_like(rr)
    for (a, b, c, d), minor in zip(first + rest, out, strict=True):
        np.multiply(a, b, out=minor)
        minor -= np.multiply(c, d, out=product)
    determinant = rr * out[0]
    determinant += np.multiply(rg, out[1], out=product)
    determinant += np.multiply(rb, out[2], out=product)
    out /= determinant
    return out


def _blocks(planes: _Planes, step: int) -> _Planes:
    """Means over blocks of `step` pixels a side: [C, h / step, w / step]."""
    if step == 1:
        return planes
    count, height, width = planes.shape
    tall = planes.reshape(count * height, width)  # one above the other: no block reaches into the next plane
    small = cv2.resize(tall, (width // step, count * height // step), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(count, height // step, width // step)


def _means(blocks: _Planes, radius: int, step: int) -> _Planes:
    """Means over the (2 radius + 1)-square of pixels around the middle of each block, cut at the border: [C,h,w]."""
    _, height, width = blocks.shape
    down, across = _shares(height, radius, step), _shares(width, radius, step)
    if step > 1:
        # Plane by plane: products of this size do not wake the BLAS library's threads, which would then wait, busily.
        return np.asarray(down @ (blocks @ across.T), np.float32)
    out = np.empty_like(blocks)
    side = (2 * radius + 1,) * 2
    for plane, target in zip(blocks, out, strict=True):
        cv2.boxFilter(plane, -1, side, dst=target, normalize=False, borderType=cv2.BORDER_CONSTANT)
    out *= down.max(1)[:, None] * across.max(1)  # a window's pixels all have the same share
    return out


@lru_cache
def _shares(size: int, radius: int, step: int) -> _Planes:
    """How much of the window around the middle of each of `size` blocks lies in each of them: rows that sum to 1."""
    first = np.arange(size) * step
    middle = (first + step / 2)[:, None]
    low, high = np.maximum(middle - radius - 0.5, 0), np.minimum(middle + radius + 0.5, size * step)
    within = np.maximum(np.minimum(high, first + step) - np.maximum(low, first), 0)
    return np.asarray(within / (high - low), np.float32)


def _apply(coefficients: _Planes, query: Pixels) -> Pixels:
    """Coefficients [4C,h,w], enlarged to the query and applied, in strips of rows that fit a cache."""
    height, width = query.shape[:2]
    step = max(1, STRIP_PIXELS // width)
    if step >= height:
        return _paint(coefficients, query)
    count = len(coefficients) // 4
    out = np.empty((height, width, count) if count > 1 else (height, width), np.uint8)
    low, high, share = _rows_between(coefficients.shape[1], height)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        first, second = coefficients[:, low[rows]], coefficients[:, high[rows]]
        out[rows] = _paint(first + (second - first) * share[rows, None], query[rows])
    return out


def _paint(coefficients: _Planes, query: Pixels) -> Pixels:
    """Coefficients [4C,h,w], enlarged to the query [H,W,3] and applied: [H,W,C], or [H,W]."""
    height, width = query.shape[:2]
    count = len(coefficients) // 4
    pixels = cv2.split(query.astype(np.float32))
    painted = np.empty((count, height, width), np.float32)
    slope = np.empty((height, width), np.float32)

    def enlarge(number: int, out: NDArray[np.float32]) -> None:
        cv2.resize(coefficients[number], (width, height), dst=out, interpolation=cv2.INTER_LINEAR)

    for channel, plane in enumerate(painted):
        enlarge(3 * count + channel, plane)
        for source in range(3):
            enlarge(3 * channel + source, slope)
            np.multiply(slope, pixels[source], out=slope)
            np.add(plane, slope, out=plane)
    np.maximum(painted, 0, out=painted)
    return np.asarray(cv2.convertScaleAbs(cv2.merge(list(painted))), np.uint8)  # it rounds, and clips at 255


def _rows_between(size: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of `wanted` rows: the two of `size` rows it lies between, and how near the second (bilinear)."""
    place = np.clip((np.arange(wanted) + 0.5) * (size / wanted) - 0.5, 0, size - 1)
    low = place.astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (place - low).astype(np.float32)
