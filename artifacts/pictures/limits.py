"""How much of one picture file is read: what its header says is held against these before anything is decoded."""

from typing import Final, NamedTuple

from artifacts.pictures.errors import TooLong, TooManyPixels, TooManyScans, TooMuchMemory

PAINTING, FILLING = 22, 30
"""Bytes a pixel at the most while an answer is painted at the picture's own size, and while a hole is looked for and
filled: in the process that does it, and in the server, which passes the file on. Measured with pictures of noise."""


class PictureLimits(NamedTuple):
    """Of one file."""

    pixels: int
    """Width times height."""
    aspect: float = 100.0
    """Longer side over shorter."""
    scans: int = 64
    """Of a progressive JPEG, each of which goes through the whole picture; encoders write ten or so."""
    memory: int = 450 * 2**20
    """Bytes that reading or painting takes, estimated."""

    def check(self, width: int, height: int, bytes_a_pixel: float = 0) -> None:
        """Raises a PictureError for a picture of this size, which takes so much memory while it is decoded."""
        if width * height > self.pixels:
            raise TooManyPixels
        if max(width, height) > self.aspect * min(width, height):
            raise TooLong
        if width * height * bytes_a_pixel > self.memory:
            raise TooMuchMemory

    def check_scans(self, count: int) -> None:
        """Raises TooManyScans."""
        if count > self.scans:
            raise TooManyScans


COMMANDS_LIMITS: Final = PictureLimits(250_000_000, 10_000, 1000, 16 * 2**30)
"""For the files of a command's own user."""
