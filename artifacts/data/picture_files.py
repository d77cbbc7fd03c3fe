"""Picture files as Pillow reads them."""

from pathlib import Path

from PIL import Image, ImageOps

from artifacts.errors import OfflineError


def read_rgb(path: Path) -> Image.Image:
    """A picture file upright in RGB; raises OfflineError."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OfflineError(f"{path} is not a picture that can be read: {' '.join(why.split())}") from None
