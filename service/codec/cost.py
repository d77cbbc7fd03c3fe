"""How much work a picture is, told from its header before anything is decoded."""

from typing import Final

from artifacts.pictures.header import PROGRESSIVE, jpeg_frame, size_of
from engine.geometry import Pixels
from service.codec.spec import ImageSpec

_UNIT_PIXELS: Final = 1_000_000
_SCALED: Final = 8
"""A JPEG that goes through its pixels once is decoded scaled down, in so much less time."""
_LARGE_BYTES: Final = 1 << 20
_LARGE_UNITS: Final = 8


def cost_of(spec: ImageSpec) -> int:
    """In units of a picture of a megapixel, 1 at least: some ten milliseconds, of a JPEG less."""
    return max(1, sum(map(_pixels, _pictures(spec))) // _UNIT_PIXELS)


def is_large(spec: ImageSpec, cost: int) -> bool:
    """Whether it would hold others up: a large file, or one of many pixels."""
    return cost > _LARGE_UNITS or sum(map(_bytes, _pictures(spec))) > _LARGE_BYTES


def _pictures(spec: ImageSpec) -> tuple[bytes | Pixels, ...]:
    return (spec.source, *(spec.example or ()), *(() if spec.mask is None else (spec.mask,)))


def _bytes(picture: bytes | Pixels) -> int:
    return len(picture) if isinstance(picture, bytes) else picture.nbytes


def _pixels(picture: bytes | Pixels) -> int:
    if not isinstance(picture, bytes):
        return 0  # decoded by whoever sent it
    if picture.startswith(b"\xff\xd8"):
        marker, width, height = jpeg_frame(picture) or (0, 0, 0)
        return width * height // (1 if marker in PROGRESSIVE else _SCALED)
    width, height = size_of(picture) or (0, 0)
    return width * height
