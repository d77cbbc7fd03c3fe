"""Compose one scene: one or two cut-outs over a crop of a background, with a mask exact by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from artifacts.data.demo.pools import Pool
from artifacts.data.demo.source import Source

_EMOJI_SHARE = 0.3
_SECOND_OBJECT = 0.1
_SHADOW = 0.3
_DEFOCUS = 0.3
_NOISE = 0.5
_MIN_AREA, _MAX_AREA = 0.05, 0.60
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Scene:
    """`image` [size, size, 3] uint8 RGB; `mask` [size, size] uint8, 0 or a class index 1..20."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def compose(pool: Pool, size: int, rng: np.random.Generator) -> Scene:
    """Draw a scene of `size` x `size` pixels from `pool`; the same state of `rng` gives the same bytes.

    Raises `RuntimeError` when no draw of many puts between 5 % and 60 % of the scene in the foreground.
    """
    # Supersample small scenes only: cut-outs are small, and large scenes hold no detail to gain.
    canvas = size * 2 if size <= 192 else size
    for _ in range(_ATTEMPTS):
        layers = [_place(pool, canvas, rng) for _ in range(1 + (rng.random() < _SECOND_OBJECT))]
        mask = _mask(layers, size)
        if all((mask == label).mean() >= _MIN_AREA for _, label in layers) and (mask > 0).mean() <= _MAX_AREA:
            return Scene(_render(pool, [layer for layer, _ in layers], canvas, size, rng), mask)
    raise RuntimeError(f"no scene with a usable foreground in {_ATTEMPTS} draws")


def _place(pool: Pool, canvas: int, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """One jittered, scaled, turned object on a transparent canvas, with its class."""
    source = _draw_foreground(pool, rng)
    image = source.image
    scale = rng.uniform(0.35, 0.85) * canvas / max(image.size)
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC, expand=True)
    image = image.point([*_jitter(rng, 0.25), *range(256)])
    layer = Image.new("RGBA", (canvas, canvas))
    layer.paste(image, (_offset(canvas, image.width, rng), _offset(canvas, image.height, rng)))
    return layer, source.label


def _draw_foreground(pool: Pool, rng: np.random.Generator) -> Source:
    take_emoji = bool(pool.emoji) and (not pool.stamps or rng.random() < _EMOJI_SHARE)
    choices = pool.emoji if take_emoji else pool.stamps
    return choices[rng.integers(len(choices))]


def _offset(canvas: int, side: int, rng: np.random.Generator) -> int:
    """Where a side begins: at most an eighth of it may fall outside the canvas."""
    overhang = side // 8
    low, high = -overhang, canvas - side + overhang
    return int(rng.integers(min(low, high), max(low, high) + 1))


def _mask(layers: list[tuple[Image.Image, int]], size: int) -> NDArray[np.uint8]:
    """Class where an object's alpha is over one half; a later object lies over an earlier one."""
    mask = np.zeros((size, size), dtype=np.uint8)
    for layer, label in layers:
        alpha = layer.getchannel("A").resize((size, size), Image.Resampling.BOX)
        mask[np.asarray(alpha) > 127] = label
    return mask


def _render(
    pool: Pool, layers: list[Image.Image], canvas: int, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    image = _backdrop(pool, canvas, rng)
    shadow = rng.random() < _SHADOW
    for layer in layers:
        if shadow:
            _cast_shadow(image, layer.getchannel("A"), rng)
        image.paste(layer, mask=layer)
    if canvas != size:
        image = image.resize((size, size), Image.Resampling.BOX)
    pixels: NDArray[np.uint8] = np.asarray(image)
    if rng.random() >= _NOISE:
        return pixels
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(1, 6)
    noisy: NDArray[np.uint8] = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return noisy


def _backdrop(pool: Pool, canvas: int, rng: np.random.Generator) -> Image.Image:
    image = pool.backgrounds[rng.integers(len(pool.backgrounds))].image
    side = max(1, round(rng.uniform(0.3, 1.0) * min(image.size)))
    left, top = (int(rng.integers(full - side + 1)) for full in image.size)
    box = (left, top, left + side, top + side)
    image = image.resize((canvas, canvas), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.point(_jitter(rng, 0.3))
    if rng.random() < _DEFOCUS:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.004, 0.016) * canvas))
    return image


def _cast_shadow(image: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> None:
    """Darken `image` in place below a soft copy of `alpha` that is moved a little, mostly downwards."""
    canvas = image.width
    strength = rng.uniform(0.25, 0.6)
    right, down = (round(rng.uniform(*span) * canvas) for span in ((-0.05, 0.05), (0.01, 0.06)))
    moved = Image.new("L", image.size)
    moved.paste(alpha.point([round(strength * value) for value in range(256)]), (right, down))
    image.paste((0, 0, 0), mask=moved.filter(ImageFilter.BoxBlur(rng.uniform(0.01, 0.03) * canvas)))


def _jitter(rng: np.random.Generator, amount: float) -> list[int]:
    """A look-up table [3 * 256] of random contrast, brightness and gain per channel; `amount` bounds them."""
    contrast = 1 + rng.uniform(-amount, amount)
    brightness = 255 * rng.uniform(-amount, amount) / 2
    gain = 1 + rng.uniform(-amount, amount, size=(3, 1)) / 2
    values = (np.arange(256) - 128) * contrast + 128 + brightness
    table: list[int] = np.clip(np.rint(values * gain), 0, 255).astype(np.int64).reshape(-1).tolist()
    return table
