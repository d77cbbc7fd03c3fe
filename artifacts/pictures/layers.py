"""One opaque sRGB picture of whatever Pillow decodes a file to."""

from typing import Final

import numpy as np
from PIL import Image

from artifacts.pictures.colour import to_srgb
from artifacts.pictures.metadata import Metadata
from engine.geometry import Pixels

_STRIP: Final = 1 << 20
"""Pixels that are worked on at once: what they take beside the picture itself stays small."""


def flattened(image: Image.Image, about: Metadata, alpha: Image.Image | None = None) -> Pixels:
    """A picture of any mode, and its transparency where the mode does not hold it -> RGB uint8 [H,W,3] on white."""
    width, height = image.size
    step = max(1, _STRIP // max(1, width))
    if step >= height:
        return _flattened(image, about, alpha)
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, step):
        box = 0, top, width, min(top + step, height)
        out[top : box[3]] = _flattened(image.crop(box), about, alpha and alpha.crop(box))
    return out


def _flattened(image: Image.Image, about: Metadata, alpha: Image.Image | None) -> Pixels:
    if image.mode.startswith("I"):
        image = _narrow(image)
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        image = image.convert(image.mode.removesuffix("A"))
    rgb = to_srgb(image, about)
    if alpha is None:
        return np.array(rgb)
    rgb.putalpha(alpha)
    white = Image.new("RGBA", rgb.size, "white")
    return np.array(Image.alpha_composite(white, rgb).convert("RGB"))


def _narrow(image: Image.Image) -> Image.Image:
    """16-bit gray to 8 bits. Pillow's own conversion clips at 255 where it should scale."""
    wide = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((wide * 255 + 32_767) // 65_535).astype(np.uint8))
