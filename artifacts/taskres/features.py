"""Features of picture files, computed once: kept on disk by tower, precision, kind of crop and content of the file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.pictures.limits import COMMANDS_LIMITS, PictureLimits
from artifacts.pictures.read import read_file
from artifacts.progress import Progress, Steps
from artifacts.taskres.crops import Crop, middle
from engine.encoder import Encoder
from engine.geometry import Pixels

BATCH = 32
DEFAULT_CACHE = Path.home() / ".cache" / "vtv" / "features"


class FeatureCache:
    """A tower's features of pictures, float32 [D] each, in a folder that any number of data sets share.

    A file `<tower>-<precision>/<crop>/<SHA-256 of the picture>.npy` for each, written whole or not at all: what was
    computed before an interruption is there after it.
    """

    def __init__(self, encoder: Encoder, root: Path = DEFAULT_CACHE, limits: PictureLimits = COMMANDS_LIMITS) -> None:
        self.encoder, self.tower, self.limits = encoder, encoder.tower, limits
        self.folder = root / f"{self.tower.fingerprint[:16]}-{encoder.precision}"

    def features(self, files: Sequence[Path], progress: Progress, crop: Crop = middle) -> Tensor:
        """Features [N,D] of pictures as `crop` shows them; raises OfflineError for a file that is no picture."""
        hashes = [_content_hash(file) for file in files]
        kept = [self.folder / crop.name / f"{content}.npy" for content in hashes]
        missing = {path: files[row] for row, path in enumerate(kept) if not path.is_file()}
        if missing:
            self._compute(missing, crop, progress)
        return torch.from_numpy(np.stack([_read(path, self.tower.width) for path in kept]))

    def _compute(self, missing: dict[Path, Path], crop: Crop, progress: Progress) -> None:
        """Write the features of pictures: where they are kept, and the picture's file."""
        steps = Steps("features", len(missing), 0, progress)
        wanted = list(missing.items())
        for part in (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)):
            squares = [self._square(file, crop, path.stem) for path, file in part]
            for (path, _), row in zip(part, self.encoder.features(np.stack(squares)).numpy(), strict=True):
                _write(path, row)
            steps.update("pictures", len(part))
        steps.close()

    def _square(self, file: Path, crop: Crop, content: str) -> Pixels:
        pixels = read_file(file, self.tower.shorter_edge if crop.scaled else None, self.limits)
        return crop.square(pixels, self.tower, content)


def _content_hash(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise OfflineError(f"{file} cannot be read: {error.strerror}") from None


def _write(path: Path, row: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, row)
    partial.replace(path)


def _read(path: Path, width: int) -> NDArray[np.float32]:
    try:
        row: NDArray[np.float32] = np.load(path)
    except (OSError, ValueError) as error:
        raise OfflineError(f"{path} is damaged ({error}): delete it") from None
    if row.shape != (width,) or row.dtype != np.float32:
        raise OfflineError(f"{path} is damaged: delete it")
    return row
