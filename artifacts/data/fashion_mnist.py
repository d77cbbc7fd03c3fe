"""Fashion-MNIST (Xiao et al., 2017; MIT) as class folders, from its IDX files as Debian's package holds them."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifacts.errors import DatasetError
from artifacts.pictures.write import encode
from artifacts.progress import Progress, Steps
from engine.geometry import Pixels

NAMES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FILES = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES = 0x08


def make_fashion_mnist(root: Path, target: Path, train: int, test: int, progress: Progress, skip: int = 0) -> None:
    """Write the first `train` pictures of each class, and `test` after the first `skip`, as `SPLIT/CLASS/NUMBER.png`.

    Raises DatasetError. `root` is where `dataset-fashion-mnist` is unpacked, or the folder of its four files.
    """
    for split, chosen in (("train", slice(train)), ("test", slice(skip, skip + test))):
        pictures, labels = read_split(root, split)
        rows = [row for label in range(len(NAMES)) for row in np.flatnonzero(labels == label)[chosen]]
        steps = Steps(split, len(rows), 0, progress)
        for row in rows:
            path = target / split / NAMES[labels[row]] / f"{row:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(_rgb(pictures[row]), "png"))
            steps.update("pictures")
        steps.close()


def read_split(root: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures uint8 [N,28,28] and labels uint8 [N]; raises DatasetError."""
    pictures = _read_idx(_find(root, f"{FILES[split]}-images-idx3-ubyte.gz"), 3)
    labels = _read_idx(_find(root, f"{FILES[split]}-labels-idx1-ubyte.gz"), 1)
    if len(pictures) != len(labels) or labels.max(initial=0) >= len(NAMES):
        raise DatasetError(f"{root}: {len(pictures)} pictures and {len(labels)} labels of {split} do not go together")
    return pictures, labels


def _rgb(picture: NDArray[np.uint8]) -> Pixels:
    return np.ascontiguousarray(np.broadcast_to(picture[..., None], (*picture.shape, 3)))


def _find(root: Path, name: str) -> Path:
    found = sorted(root.rglob(name))
    if not found:
        raise DatasetError(f"{root} holds no {name}: unpack Debian's dataset-fashion-mnist there")
    return found[0]


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An IDX file: two zero bytes, the type, the number of dimensions, each as big-endian 32 bit, then the values."""
    try:
        content = gzip.decompress(path.read_bytes())
        zero, kind, rank = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        if (zero, kind, rank) != (0, _UNSIGNED_BYTES, dimensions):
            raise ValueError("its header is another")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DatasetError(f"{path} is not an IDX file of {dimensions} dimensions: {error}") from None
