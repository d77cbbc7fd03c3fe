"""What clients send as pictures: read as `artifacts.pictures` reads them, refused in this service's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from artifacts.pictures.errors import PictureError, TooLarge, TooLong, TooManyPixels, TooManyScans, UnsupportedFormat
from artifacts.pictures.limits import FILLING, PAINTING, PictureLimits
from artifacts.pictures.read import count_pixels as _count_pixels
from artifacts.pictures.read import read as _read
from engine.geometry import Pixels
from service.errors import InvalidImage, UnsupportedMedia

_TOO_MANY_PIXELS: Final = "An image has more pixels than this server accepts."
_TOO_LARGE: Final = {
    TooManyPixels: _TOO_MANY_PIXELS,
    TooLong: "An image is too long for its width: one side may be so many times the other as this server accepts.",
    TooManyScans: "An image goes through its pixels more often than this server accepts: save it without scans.",
}
TOO_MUCH_MEMORY: Final = "An image would take more memory than this server accepts: send it smaller, or as plain JPEG."


def read(data: bytes, limits: PictureLimits, at_least: int | None = None) -> Pixels:
    """As `artifacts.pictures.read.read`. Raises InvalidImage or UnsupportedMedia."""
    with _in_our_words():
        return _read(data, limits, at_least)


def count_pixels(data: bytes, limits: PictureLimits) -> int:
    """Width times height, from a file's header. Raises InvalidImage or UnsupportedMedia."""
    with _in_our_words():
        return _count_pixels(data, limits)


def from_pixels(pixels: Pixels, limits: PictureLimits) -> Pixels:
    """RGB [H, W, 3] uint8 as memory that torch takes: it knows none that is read-only. Raises InvalidImage
    beyond the limits."""
    with _in_our_words():
        limits.check(pixels.shape[1], pixels.shape[0])
    return pixels if pixels.flags.writeable else pixels.copy()


def check_painting(pixels: int, limits: PictureLimits, has_hole: bool) -> None:
    """Raises InvalidImage for a picture of so many pixels that is painted at its own size, for which more memory would
    be needed than there is."""
    if pixels * (FILLING if has_hole else PAINTING) > limits.memory:
        raise InvalidImage(TOO_MUCH_MEMORY)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except UnsupportedFormat:
        raise UnsupportedMedia("An image is neither JPEG, PNG nor WebP.") from None
    except TooLarge as error:
        raise InvalidImage(_TOO_LARGE.get(type(error), TOO_MUCH_MEMORY)) from None
    except PictureError:
        raise InvalidImage from None
