"""What clients send as pictures: read as `artifacts.pictures` reads them, refused in this service's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from artifacts.pictures.errors import PictureError, TooManyPixels, UnsupportedFormat
from artifacts.pictures.read import count_pixels as _count_pixels
from artifacts.pictures.read import read as _read
from engine.geometry import Pixels
from service.errors import InvalidImage, UnsupportedMedia

_TOO_MANY_PIXELS: Final = "An image has more pixels than this server accepts."


def read(data: bytes, max_pixels: int, at_least: int | None = None) -> Pixels:
    """As `artifacts.pictures.read.read`. Raises InvalidImage or UnsupportedMedia."""
    with _in_our_words():
        return _read(data, max_pixels, at_least)


def count_pixels(data: bytes, max_pixels: int) -> int:
    """Width times height, from a file's header. Raises InvalidImage or UnsupportedMedia."""
    with _in_our_words():
        return _count_pixels(data, max_pixels)


def from_pixels(pixels: Pixels, max_pixels: int) -> Pixels:
    """RGB [H, W, 3] uint8 as memory that torch takes: it knows none that is read-only. Raises InvalidImage
    beyond the limit."""
    if pixels.shape[0] * pixels.shape[1] > max_pixels:
        raise InvalidImage(_TOO_MANY_PIXELS)
    return pixels if pixels.flags.writeable else pixels.copy()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except UnsupportedFormat:
        raise UnsupportedMedia("An image is neither JPEG, PNG nor WebP.") from None
    except TooManyPixels:
        raise InvalidImage(_TOO_MANY_PIXELS) from None
    except PictureError:
        raise InvalidImage from None
