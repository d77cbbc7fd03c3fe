"""Draw one scene: a crop of a photograph with its mask, an object on another background, or a plain crop."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from artifacts.data.photos.pools import MAX_AREA, MIN_AREA, Pool
from engine.geometry import Pixels

COMPOSITES = 0.3
"""Share of scenes to train on that show an object on another background."""
_WHOLE = 0.35
"""Share of pairs and plain scenes that show the whole picture, squashed to a square as the service does."""
_CLOSE = 0.3
"""Share of pairs and composites to train on that are close-ups: the object fills much of the picture, or is cut off."""
_CLOSE_AREA = 0.4
"""Share of a close-up that its object covers at the least."""
_PALE = 0.15
"""Share of composites whose object is paled towards white, so that it is not told by its colours."""
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Scene:
    """`image` RGB uint8 [size,size,3]; `mask` uint8 [size,size], 0 or 255, or None where nothing is known."""

    image: Pixels
    mask: Pixels | None


def pair(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    """A photograph, or a crop of it, with its mask; the same state of `rng` gives the same bytes, here and below."""
    picture, mask = pool.pairs[rng.integers(len(pool.pairs))]
    box = np.s_[:, :]
    for _ in range(_ATTEMPTS):
        tried = _box(picture, rng)
        if MIN_AREA <= (mask[tried] > 0).mean() <= MAX_AREA:
            box = tried
            break
    return Scene(_cut(picture, box, size), _binary(_cut(mask, box, size)))


def pair_or_composite(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    """A photograph with its mask, or an object of one on the background of another."""
    if rng.random() < COMPOSITES:
        return _composite(pool, size, rng)
    return close_up(pool, size, rng) if rng.random() < _CLOSE else pair(pool, size, rng)


def close_up(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    """A crop about as large as the object of a photograph, so that it fills most of it or is cut by its border."""
    picture, mask = pool.pairs[rng.integers(len(pool.pairs))]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    for _ in range(_ATTEMPTS):
        box = _around(rows, rng), _around(columns, rng)
        if _CLOSE_AREA <= (mask[box] > 0).mean() <= MAX_AREA:
            return Scene(_cut(picture, box, size), _binary(_cut(mask, box, size)))
    return Scene(_cut(picture, np.s_[:, :], size), _binary(_cut(mask, np.s_[:, :], size)))


def _around(occupied: NDArray[np.int64], rng: np.random.Generator) -> slice:
    """A range of .5 to 1.2 of the extent of `occupied` (ascending), about its middle; it may reach over the picture."""
    first, last = int(occupied[0]), int(occupied[-1]) + 1
    extent = max(32.0, (last - first) * rng.uniform(0.5, 1.2))
    middle = (first + last) / 2 + rng.uniform(-0.3, 0.3) * (last - first)
    start = max(0, round(middle - extent / 2))
    return slice(start, max(start + 16, round(middle + extent / 2)))


def plain(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    """A crop of a photograph without a usable mask, or of a background."""
    pictures = pool.plain if pool.plain and rng.random() < 0.7 else pool.backgrounds or pool.plain
    picture = pictures[rng.integers(len(pictures))]
    return Scene(_cut(picture, _box(picture, rng), size), None)


def _box(picture: Pixels, rng: np.random.Generator) -> tuple[slice, slice]:
    """The whole picture, or a crop of 35 to 100 % of it whose sides are at most 3:2 apart from the picture's."""
    height, width = picture.shape[:2]
    if rng.random() < _WHOLE:
        return np.s_[0:height, 0:width]
    area, shape = rng.uniform(0.35, 1.0), np.exp(rng.uniform(-0.4, 0.4))
    rows = min(height, max(32, round(height * np.sqrt(area * shape))))
    columns = min(width, max(32, round(width * np.sqrt(area / shape))))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    return np.s_[top : top + rows, left : left + columns]


def _cut(picture: Pixels, box: tuple[slice, slice], size: int) -> Pixels:
    part = np.ascontiguousarray(picture[box])
    smaller = min(part.shape[:2]) >= size
    return np.asarray(
        cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
    )


def _binary(mask: Pixels) -> Pixels:
    return np.where(mask > 127, 255, 0).astype(np.uint8)


def _composite(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    pictures = pool.backgrounds or [pixels for pixels, _ in pool.pairs]
    picture = pictures[rng.integers(len(pictures))]
    scene = _cut(picture, _box(picture, rng), size).astype(np.float32)
    if rng.random() < 0.3:
        scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.004, 0.012) * size), np.float32)
    alpha = np.zeros((size, size, 1), np.float32)
    for _ in range(_ATTEMPTS):
        colour, alpha = _place(pool.cutouts[rng.integers(len(pool.cutouts))], size, rng)
        if MIN_AREA <= (alpha > 0.5).mean() <= MAX_AREA:
            break
    if rng.random() < 0.5:  # the object takes on some of the scene's light
        inside = np.maximum(alpha.sum(), 1)
        light = scene.mean((0, 1)) / np.maximum((colour * alpha).sum((0, 1)) / inside, 1)
        colour = colour * np.clip(light, 0.6, 1.6) ** rng.uniform(0.1, 1.0)
    if rng.random() < _PALE:
        gray = colour.mean(2, keepdims=True)
        colour = 255 - (255 - gray - (colour - gray) * rng.uniform(0.1, 0.6)) * rng.uniform(0.3, 0.9)
    scene = scene * (1 - alpha) + colour * alpha
    image = np.rint(scene.clip(0, 255)).astype(np.uint8)
    return Scene(image, np.where(alpha[..., 0] > 0.5, 255, 0).astype(np.uint8))


def _place(cutout: Pixels, size: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One scaled, turned, flipped object: colour [size,size,3] in 0..255 and alpha [size,size,1] in 0..1."""
    height, width = cutout.shape[:2]
    extent = rng.uniform(0.9, 1.5) if rng.random() < _CLOSE else rng.uniform(0.35, 0.95)
    scale = extent * size / max(height, width)
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-15, 15)), 1.0)
    matrix = np.diag([scale * stretch, scale / stretch]) @ matrix
    middle = matrix @ np.array([width / 2, height / 2, 1.0])
    reach = np.array([width * scale, height * scale]) / 2 * 0.8
    low, high = np.minimum(reach, size / 2), np.maximum(size - reach, size / 2)
    matrix[:, 2] += rng.uniform(low, high) - middle
    layer = cv2.warpAffine(cutout, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT)
    if rng.random() < 0.5:
        layer = layer[:, ::-1]
    placed = np.asarray(layer, np.float32)
    return placed[..., :3], np.asarray(placed[..., 3:] / 255, np.float32)
