"""What the server answers: a picture, and what is known about it."""

import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one image."""

    image: bytes = field(repr=False)
    """The picture's file."""
    media_type: str
    """`image/png`, `image/webp` or `image/jpeg`."""
    width: int | None
    """Pixels. None where the reply is the bare file, as it is to `infer`."""
    height: int | None
    """Pixels; None as `width`."""
    confidence: float | None
    """From 0 to 1; None where the server gives none."""
    artifact: str | None
    """SHA-256 of the task vector that was used; None after an example pair."""
    request_id: str
    """Stands in the server's log too."""
    timing_ms: dict[str, float]
    """The server's time by stage: `queue`, `decode`, `compute`, `encode`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture's file. Raises OSError."""
        Path(path).write_bytes(self.image)

    def pil(self) -> "Image":
        """The picture as a Pillow image. Raises ImportError where Pillow is not installed."""
        try:
            from PIL import Image
        except ImportError:
            raise ImportError("Answer.pil() needs Pillow: pip install pillow") from None
        return Image.open(BytesIO(self.image))
