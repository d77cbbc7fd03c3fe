"""Foregrounds: photographed objects (stamps) and rendered ones (emoji), cut out by their alpha."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from artifacts.data.demo.classes import emoji_class, stamp_class
from artifacts.data.demo.families import family_name, group, signature
from artifacts.data.demo.source import Source, Split, held_out, list_files

_STAMPS, _EMOJI = "tuxpaint/stamps", "fluent-emoji-3d"
_DRAWN = re.compile(r"/(symbols|cartoon|toys|flags|roadsigns|houses|clothes|hanukkah|easter|body_parts)/|/Santa\.png$")
"""Stamp folders and files that hold drawings, letters or signs rather than photographs."""
_STAMPS_ALIKE, _EMOJI_ALIKE = 0.97, 0.93
_SIDE = 512
"""Longest side at which cut-outs are kept, in pixels: more than any scene shows."""
_MAX_FACES = 12
"""Round yellow faces kept of the hundred that a set of emoji holds."""


def load_stamps(share: Path) -> list[Source]:
    """Photographed objects below `share`; of a family with held-out files only those, for validation."""
    paths = [p for p in list_files(share, (_STAMPS,)) if p.endswith(".png") and not _DRAWN.search(p)]
    images = {p: cut for p in paths if (cut := _cut_out(share / p)) is not None and _is_photographic(cut)}
    usable = list(images)
    families = group(usable, family_name, [signature(images[p]) for p in usable], _STAMPS_ALIKE)
    chosen: list[Source] = []
    for family in families:
        split: Split = "val" if any(map(held_out, family)) else "train"
        kept = [p for p in family if held_out(p) == (split == "val")]
        chosen += [Source(p, "stamp", split, stamp_class(p), images[p]) for p in kept]
    return sorted(chosen, key=lambda source: source.path)


def load_emoji(share: Path) -> list[Source]:
    """Rendered objects, for training only: one code point, no sign in a box, few faces, one of each look."""
    images: dict[str, Image.Image] = {}
    faces = 0
    for path in list_files(share, (_EMOJI,)):
        code = _single_code_point(Path(path).stem)
        if code is None or not 0x1F300 <= code <= 0x1FAFF or held_out(path):
            continue
        image = _cut_out(share / path)
        if image is None or _is_boxed(image):
            continue
        face = _is_yellow_disc(image)
        faces += face
        if not face or faces <= _MAX_FACES:
            images[path] = image
    paths = list(images)
    firsts = [f[0] for f in group(paths, lambda p: p, [signature(images[p]) for p in paths], _EMOJI_ALIKE)]
    return [Source(p, "emoji", "train", emoji_class(_code(p)), images[p]) for p in sorted(firsts)]


def _single_code_point(stem: str) -> int | None:
    """The code point of a name such as `1f3d5-fe0f`; None for sequences (skin tones, families, flags)."""
    codes = [part for part in stem.split("-") if part != "fe0f"]
    return int(codes[0], 16) if len(codes) == 1 and re.fullmatch(r"[0-9a-f]{2,6}", codes[0]) else None


def _code(path: str) -> int:
    return _single_code_point(Path(path).stem) or 0


def _cut_out(path: Path) -> Image.Image | None:
    """The RGBA object at `path`, cropped to its alpha; None where it is small or not a real cut-out."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return None
    alpha = image.getchannel("A").point(lambda value: 255 * (value > 8))
    box = alpha.getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < 96:
        return None
    solid = np.asarray(image.getchannel("A")) > 127
    image = image.crop(box)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    inside = (np.asarray(image.getchannel("A")) > 127).mean()
    return image if solid.mean() < 0.95 and 0.10 <= inside <= 0.95 else None


def _is_photographic(image: Image.Image) -> bool:
    """Photographs have noise and many shades; drawings have areas of one flat colour and few of them."""
    pixels = _reduced(image, 160)
    solid = pixels[..., 3] > 127
    shades = len(np.unique((pixels[solid][:, :3] // 16).astype(np.int32) @ np.array([1, 16, 256])))
    luminance = pixels[..., :3].astype(np.int32).mean(-1)
    step = np.abs(np.diff(luminance, axis=1))[solid[:, 1:] & solid[:, :-1]]
    return shades >= 36 and float((step < 1).mean()) <= 0.52


def _is_boxed(image: Image.Image) -> bool:
    """Letters and arrows come on a filled square, which leaves almost none of its bounding box empty."""
    return float((_reduced(image, 64)[..., 3] > 127).mean()) > 0.9


def _is_yellow_disc(image: Image.Image) -> bool:
    pixels = _reduced(image, 64)
    solid = pixels[..., 3] > 127
    red, green, blue = np.median(pixels[solid][:, :3], axis=0)
    return bool(red > 220 and 140 < green < 220 and blue < 120 and 0.7 < solid.mean() < 0.85)


def _reduced(image: Image.Image, side: int) -> NDArray[np.uint8]:
    small = image.copy()
    small.thumbnail((side, side))
    return np.asarray(small)
