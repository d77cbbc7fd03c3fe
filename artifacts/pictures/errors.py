"""Why a picture file is refused. No text of another library, no path: what says more is added by whoever knows it."""

import struct
import zlib
from typing import Final

PILLOW_REFUSES: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow raises on files that are broken in one way or another."""


class PictureError(Exception):
    """Base of the reader's errors."""


class UnsupportedFormat(PictureError):
    """A picture, but of another format."""

    def __init__(self) -> None:
        super().__init__("it is neither JPEG, PNG nor WebP")


class BrokenPicture(PictureError):
    """Not a picture, or not all of one."""

    def __init__(self) -> None:
        super().__init__("it is not a complete JPEG, PNG or WebP file")


class TooManyPixels(PictureError):
    """Its header says that it is larger than the caller accepts."""

    def __init__(self) -> None:
        super().__init__("it has too many pixels")
