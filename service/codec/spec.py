"""What is asked of the codec for one image."""

from typing import Literal, NamedTuple

from artifacts.pictures.formats import Format
from engine.geometry import Pixels
from engine.task_vector import AnswerSettings

Size = Literal["native", "original"]
Refine = Literal["auto", "guided", "none"]
Threshold = Literal["none", "auto"]


class Square(NamedTuple):
    """The part of a picture that an image tower takes, as `artifacts.pictures.resize.middle_square` cuts it."""

    side: int
    shorter_edge: int


class ImageSpec(NamedTuple):
    """One image, and how its answer is wanted."""

    source: bytes | Pixels
    """A file, or RGB uint8 [H,W,3]."""
    example: tuple[bytes, bytes] | None
    """Files of a solved pair (input, output)."""
    mask: bytes | Pixels | None
    """White where to paint, as the source a file or pixels; else black regions are looked for, if there is a hole."""
    size: Size
    format: Format
    encoded: bool
    """Whether the answer is wanted as a file; else as its pixels' bytes."""
    settings: AnswerSettings
    """With a threshold where black and white is asked for."""
    square: Square | None = None
    """Where the picture is to be classified: then nothing is painted, and nothing else here says how."""

    @property
    def has_hole(self) -> bool:
        """Whether the engine is to see a picture with a hole."""
        return self.settings.refine == "hole" or self.mask is not None
