"""The picture that benchmarks send and read unless told otherwise."""

from importlib.resources import files
from pathlib import Path
from typing import Final

SAMPLE_PICTURE: Final = Path(str(files("service"))) / "static" / "samples" / "cat.jpg"


def picture_file(path: Path) -> bytes:
    """A picture's file, as it is; raises OfflineError where it cannot be read as one."""
    from artifacts.pictures.read import read_file

    read_file(path)
    return path.read_bytes()
