"""Families: files that hold one picture in several sizes, shades or mirrored, told by name and content."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIZE_OR_SHADE = re.compile(r"[-_ ](\d{3,}x\d{3,}|d|l|dark|light|cold|warm|radioactive|no-logo|mirror)$", re.IGNORECASE)


def family_name(path: str) -> str:
    """What all copies of a picture share: a wallpaper's folder, or a file's path less its size and shade."""
    parts = path.split("/")
    if parts[0] == "wallpapers":
        return "/".join(parts[:2])
    name = str(Path(path).with_suffix(""))
    while (shorter := _SIZE_OR_SHADE.sub("", name)) != name:
        name = shorter
    return name.lower()


def signature(image: Image.Image) -> NDArray[np.float32]:
    """A unit vector that hardly changes when the picture is resized, and not at all in mean and contrast."""
    if image.mode == "RGBA":
        gray = Image.new("RGBA", image.size, (128, 128, 128, 255))
        image = Image.alpha_composite(gray, image).convert("RGB")
    values = np.asarray(image.resize((16, 16), Image.Resampling.BOX), dtype=np.float32)
    values = values - values.mean()
    unit: NDArray[np.float32] = values / max(float(np.linalg.norm(values)), 1e-6)
    return unit


def group(
    paths: Sequence[str], name: Callable[[str], str], signatures: Sequence[NDArray[np.float32]], alike: float
) -> list[list[str]]:
    """Families of `paths`: of one name, or with signatures that correlate over `alike`, mirrored or not.

    Signatures are unit vectors [height, width, channels]. Families keep the order of `paths`.
    """
    parent = list(range(len(paths)))

    def head(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    first_of: dict[str, int] = {}
    for index, path in enumerate(paths):
        parent[index] = head(first_of.setdefault(name(path), index))
    if paths:
        flat = np.stack([s.reshape(-1) for s in signatures])
        mirrored = np.stack([s[:, ::-1].reshape(-1) for s in signatures])
        pairs = np.argwhere(np.maximum(flat @ flat.T, flat @ mirrored.T) > alike)
        for first, second in pairs.tolist():
            low, high = sorted((head(first), head(second)))
            parent[high] = low
    families: dict[int, list[str]] = defaultdict(list)
    for index, path in enumerate(paths):
        families[head(index)].append(path)
    return list(families.values())
