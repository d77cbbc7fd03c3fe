"""What scenes are drawn from: photographs with a mask, their objects, and backgrounds without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from artifacts.data.photos.saliency import Saliency
from artifacts.data.photos.source import Photo, Split
from artifacts.progress import Progress, Steps
from engine.geometry import Pixels

MIN_AREA, MAX_AREA = 0.03, 0.85
"""Share of the picture that a usable mask covers."""
MAX_GRAY = 0.5
"""Share of a usable mask's pixels that may be mid-gray: the network did not know."""
_MAX_FILLED = 0.45
"""Share of a picture over which a filled-in object leaves no background worth having."""


@dataclass(slots=True)
class Pool:
    """Everything one split may draw from."""

    pairs: list[tuple[Pixels, Pixels]] = field(default_factory=list)
    """Photographs [H,W,3] with usable masks [H,W], 0 or 255."""
    plain: list[Pixels] = field(default_factory=list)
    """Photographs without a usable mask."""
    cutouts: list[Pixels] = field(default_factory=list)
    """Objects: RGBA [h,w,4] with soft alpha, cropped to them."""
    backgrounds: list[Pixels] = field(default_factory=list)


def load_pools(photos: Sequence[Photo], saliency: Saliency, progress: Progress) -> dict[Split, Pool]:
    """Read every photograph, find what stands out, and deal the pieces to the splits."""
    pools: dict[Split, Pool] = {"train": Pool(), "tune": Pool(), "val": Pool()}
    steps = Steps("masks", len(photos), 0, progress)
    for photo in photos:
        pixels = photo.read()
        add(pools[photo.split], pixels, saliency.mask(photo, pixels))
        held = len(pools["tune"].pairs) + len(pools["val"].pairs)
        steps.update(f"{len(pools['train'].pairs)} pairs to train, {held} held out")
    steps.close()
    return pools


def add(pool: Pool, pixels: Pixels, mask: Pixels) -> None:
    """Make what can be made of a photograph [H,W,3] and its soft mask [H,W]."""
    if not usable(mask):
        pool.plain.append(pixels)
        if (mask > 25).mean() < MIN_AREA:
            pool.backgrounds.append(pixels)
        return
    pool.pairs.append((pixels, np.where(mask > 127, 255, 0).astype(np.uint8)))
    pool.cutouts.append(cut_out(pixels, mask))
    if (mask > 25).mean() <= _MAX_FILLED:
        pool.backgrounds.append(fill(pixels, mask))


def usable(mask: Pixels) -> bool:
    """Whether a soft mask [H,W] covers a fair share of the picture and is mostly sure of it."""
    touched = mask > 51
    gray = touched & (mask < 204)
    return bool(MIN_AREA <= (mask > 127).mean() <= MAX_AREA and gray.sum() <= MAX_GRAY * touched.sum())


def cut_out(pixels: Pixels, mask: Pixels) -> Pixels:
    """RGBA of the object, cropped to it; alpha rises from 0 to 1 where the mask goes from .3 to .8."""
    alpha = ((mask.astype(np.float32) / 255 - 0.3) / 0.5).clip(0, 1)
    rows, columns = np.flatnonzero(alpha.max(1) > 0.5), np.flatnonzero(alpha.max(0) > 0.5)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.dstack([pixels[box], np.rint(alpha[box] * 255).astype(np.uint8)])


def fill(pixels: Pixels, mask: Pixels) -> Pixels:
    """The picture [H,W,3] with the object painted over from around it (Telea 2004, at a third of the size)."""
    height, width = mask.shape
    size = (max(16, width // 3), max(16, height // 3))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    touched = (mask > 25).astype(np.uint8)
    hole = cv2.dilate(cv2.resize(touched, size, interpolation=cv2.INTER_NEAREST), np.ones((5, 5), np.uint8))
    painted = cv2.inpaint(small, np.asarray(hole, np.uint8), 3, cv2.INPAINT_TELEA)
    filled = cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)
    wide = cv2.dilate(touched, np.ones((9, 9), np.uint8)).astype(np.float32)
    soft = cv2.GaussianBlur(wide, (0, 0), 3)[..., None]
    return np.rint(pixels * (1 - soft) + filled * soft).astype(np.uint8)
