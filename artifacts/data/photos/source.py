"""One photograph, and the rule that says which split it belongs to.

The unit of the split is the source *file*: it is held out when the SHA-256 of its bytes is divisible by twelve, so
that two copies of one file under different names fall on the same side. Half of those are to choose on, half to test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from artifacts.errors import DatasetError
from artifacts.pictures.formats import SUFFIXES
from engine.geometry import Pixels

Split = Literal["train", "tune", "val"]

HOLD_OUT = 12
"""One file in this many is held out."""
SIDE = 256
"""Shorter side, in pixels, at which photographs are kept: a little over what a scene shows."""
MIN_SIDE = 96
"""Shorter side, in pixels, below which a file is a thumbnail and left out."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A file of `digest` (SHA-256 of its bytes, hex) that can be read as a picture."""

    path: Path
    digest: str

    @property
    def split(self) -> Split:
        """Where scenes made of it go."""
        times, rest = divmod(int(self.digest, 16), HOLD_OUT)
        if rest:
            return "train"
        return "tune" if times % 2 else "val"

    def read(self) -> Pixels:
        """RGB [H,W,3], turned upright, its shorter side at most `SIDE`."""
        with Image.open(self.path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        scale = SIDE / min(image.size)
        if scale < 1:
            size = (max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BOX)
        return np.asarray(image)


def list_photos(folders: Sequence[Path]) -> list[Photo]:
    """The pictures of `folders` and below, one of each content, by digest; raises DatasetError where there are none.

    Left out: thumbnails, and what is named as the mask of another (`NAME_mask.png`).
    """
    photos: dict[str, Photo] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder of photographs")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and not path.stem.endswith("_mask") and _large_enough(path):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                photos.setdefault(digest, Photo(path, digest))
    if not photos:
        raise DatasetError(f"no photographs in {', '.join(map(str, folders))}")
    return [photos[digest] for digest in sorted(photos)]


def _large_enough(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return min(image.size) >= MIN_SIDE
    except (OSError, Image.DecompressionBombError):
        return False
