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


class TooLarge(PictureError):
    """Its header says that it asks for more than the caller accepts."""

    why = "it is too large"

    def __init__(self) -> None:
        super().__init__(self.why)


class TooManyPixels(TooLarge):
    """Width times height."""

    why = "it has too many pixels"


class TooLong(TooLarge):
    """One side is many times the other."""

    why = "one of its sides is too many times the other"


class TooManyScans(TooLarge):
    """A JPEG that goes through its pixels again and again."""

    why = "it has too many scans"


class TooManyParts(TooLarge):
    """A PNG of tiny chunks."""

    why = "it is in too many pieces"


class TooMuchMemory(TooLarge):
    """What its kind takes while it is decoded."""

    why = "reading it would take too much memory"
