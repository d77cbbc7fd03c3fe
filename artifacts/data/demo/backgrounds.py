"""Backgrounds: one decoded copy of each wallpaper, dealt to the splits family by family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from artifacts.data.demo.families import family_name, group, signature
from artifacts.data.demo.source import Source, Split, held_out, list_files

_FOLDERS = ("wallpapers", "backgrounds")
_ALIKE = 0.95
"""Correlation of luminance over which two wallpapers count as one picture."""
_MIN_SIDE = 400
"""Shorter side, in pixels, below which a file is a thumbnail: it counts as a sibling but is never drawn."""
_DESKTOP = (88, 108, 120, 255)


def load_backgrounds(share: Path, side: int) -> list[Source]:
    """One training copy of each wallpaper family below `share`, or the held-out copies where there are any.

    Images are RGB, reduced to a shorter side of `side` pixels; what Pillow cannot read is left out.
    """
    sizes = {p: size for p in list_files(share, _FOLDERS) if (size := _picture_size(share / p)) is not None}
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in sizes:
        by_name[family_name(path)].append(path)
    images: dict[str, Image.Image] = {}
    for members in by_name.values():
        for candidates in ([p for p in members if held_out(p)], [p for p in members if not held_out(p)]):
            if (best := _best_size(candidates, sizes, side)) is not None:
                images[best] = _background(share / best, side)
    paths = [p for p, image in images.items() if np.asarray(image.convert("L")).std() > 2]
    families = group(paths, family_name, [signature(images[p].convert("L")) for p in paths], _ALIKE)
    # Thumbnails count here: a family with any held-out file is never trained on.
    tainted = {family_name(p) for p in sizes if held_out(p)}
    chosen: list[Source] = []
    for family in families:
        split: Split = "val" if any(family_name(p) in tainted for p in family) else "train"
        kept = [p for p in family if held_out(p)] if split == "val" else family[:1]
        chosen += [Source(p, "background", split, 0, images[p]) for p in kept]
    return sorted(chosen, key=lambda source: source.path)


def _picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height; None for what cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError):
        return None


def _best_size(paths: Sequence[str], sizes: dict[str, tuple[int, int]], side: int) -> str | None:
    """The smallest copy that needs no enlarging, else the largest; None where all are thumbnails."""
    usable = [p for p in paths if min(sizes[p]) >= _MIN_SIDE]
    enough = [p for p in usable if min(sizes[p]) >= side]
    if enough:
        return min(enough, key=lambda p: (min(sizes[p]), p))
    return max(usable, key=lambda p: (min(sizes[p]), p), default=None)


def _background(path: Path, side: int) -> Image.Image:
    with Image.open(path) as opened:
        opened.draft("RGB", (side, side))
        image = _on_desktop(opened) if opened.has_transparency_data else opened.convert("RGB")
    scale = side / min(image.size)
    if scale >= 1:
        return image
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def _on_desktop(image: Image.Image) -> Image.Image:
    """Some wallpapers are drawn with alpha, for the desktop's own colour to show through."""
    desktop = Image.new("RGBA", image.size, _DESKTOP)
    return Image.alpha_composite(desktop, image.convert("RGBA")).convert("RGB")
