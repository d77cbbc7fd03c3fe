"""Colours as viewers show them: what a file gives in another colour space becomes sRGB.

Where a file has a profile, Little CMS follows it (Pillow's ImageCms). Where a PNG gives gamma and primaries instead, a
profile is made of them. One that cannot be understood is ignored, as viewers do.
"""

import io
import struct
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from artifacts.pictures.metadata import Metadata

_HARDLY: Final = 2
"""Levels. A profile that changes no colour by more is one of the many versions of sRGB's."""
_SPACES: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SRGB_GAMMA: Final = 0.45455
_ALIKE: Final = 0.05
"""Share by which a gamma may be off and still be meant for an ordinary screen: libpng's own threshold."""
_SRGB_PRIMARIES: Final = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_D50: Final = np.array([0.9642, 1.0, 0.8249])
"""ICC's white, XYZ."""
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""XYZ to the responses in which one white is turned into another (ICC.1:2022, annex E)."""


def to_srgb(image: Image.Image, about: Metadata) -> Image.Image:
    """An L, RGB or CMYK picture in the file's own colours -> RGB."""
    profile = about.icc or _made_profile(about.gamma, about.primaries)
    space = _space(profile) if profile else None
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    transform = _transform(profile, image.mode) if space == image.mode else None
    if transform is None:
        return image.convert("RGB")
    return transform.apply(image)


@lru_cache(16)
def _space(profile: bytes) -> str | None:
    """The Pillow mode whose pixels a profile is for; None for others and for what is no profile."""
    try:
        return _SPACES.get(ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space)
    except (OSError, ValueError):
        return None


@lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where that changes next to nothing, or cannot be made."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    probe = _probe(mode)
    plain = np.asarray(probe.convert("RGB"), np.int16)
    return transform if np.abs(np.asarray(transform.apply(probe), np.int16) - plain).max() > _HARDLY else None


@lru_cache(1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _probe(mode: str) -> Image.Image:
    """A few colours of all kinds: for L every level, else a grid."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * len(mode)), -1).reshape(1, -1, len(mode))
    return Image.frombytes(mode, (grid.shape[1], 1), grid.tobytes())


@lru_cache(16)
def _made_profile(gamma: float | None, primaries: tuple[float, ...] | None) -> bytes:
    """The profile of PNG's gAMA and cHRM; empty where they say sRGB, nothing, or nonsense."""
    if not gamma:
        return b""
    if primaries is None or np.allclose(primaries, _SRGB_PRIMARIES, atol=1e-3):
        primaries = _SRGB_PRIMARIES
        if abs(gamma / _SRGB_GAMMA - 1) < _ALIKE:
            return b""
    try:
        colorants = _colorants(primaries)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return b""
    curve = b"para" + struct.pack(">IHHi", 0, 0, 0, min(round(65536 / gamma), 2**31 - 1))
    places = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), (*colorants.T, _D50), strict=True))
    tags = {name: b"XYZ \0\0\0\0" + _fixed(xyz) for name, xyz in places.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _icc_file(tags)


def _colorants(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """XYZ of red, green and blue [3,3], one a column, seen under ICC's white."""
    white, *rgb = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    columns = np.stack(rgb, -1)
    columns = columns * np.linalg.solve(columns, white)
    gain = np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white))
    return np.asarray(np.linalg.solve(_BRADFORD, gain @ _BRADFORD @ columns))


def _fixed(values: NDArray[np.float64]) -> bytes:
    """ICC's s15Fixed16 numbers."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _icc_file(tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of an RGB display (ICC.1:2022, 7.2 and 7.3)."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    header = struct.pack(">I4xI12s12x4s28x12s48x", size, 0x04300000, b"mntrRGB XYZ ", b"acsp", _fixed(_D50))
    return header + table + body
