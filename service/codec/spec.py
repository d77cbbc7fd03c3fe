"""What is asked of the codec for one image."""

from typing import Literal, NamedTuple

from artifacts.pictures.formats import Format
from engine.geometry import Pixels
from engine.task_vector import AnswerSettings

Size = Literal["native", "original"]
Refine = Literal["auto", "guided", "none"]


class ImageSpec(NamedTuple):
    """One image, and how its answer is wanted."""

    source: bytes | Pixels
    """A file, or RGB uint8 [H,W,3]."""
    example: tuple[bytes, bytes] | None
    """Files of a solved pair (input, output)."""
    size: Size
    format: Format
    encoded: bool
    """Whether the answer is wanted as a file; else as its pixels' bytes."""
    settings: AnswerSettings
