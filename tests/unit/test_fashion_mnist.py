"""Fashion-MNIST's IDX files become class folders; what is no IDX file is refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from artifacts.console import keep_quiet
from artifacts.data.fashion_mnist import NAMES, make_fashion_mnist
from artifacts.errors import DatasetError
from artifacts.pictures.read import read_file
from artifacts.taskres.labelled import load_labelled


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two pictures a class; a picture's gray is ten times its class, and one more for the second."""
    folder = tmp_path / "packages" / "usr"
    folder.mkdir(parents=True)
    labels = np.arange(20, dtype=np.uint8) % 10
    gray = labels * 10 + (np.arange(20, dtype=np.uint8) >= 10)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", np.repeat(gray, 28 * 28).reshape(20, 28, 28))
    return tmp_path / "packages"


def test_class_folders_are_made(root: Path, tmp_path: Path) -> None:
    make_fashion_mnist(root, tmp_path / "out", train=2, test=1, progress=keep_quiet)
    splits = load_labelled(tmp_path / "out")
    assert sorted(splits["train"].names) == sorted(NAMES)
    assert (len(splits["train"]), len(splits["test"])) == (20, 10)
    for file in splits["train"].files:
        pixels = read_file(file)
        assert pixels.shape == (28, 28, 3)
        assert (pixels == NAMES.index(file.parent.name) * 10 + (int(file.stem) >= 10)).all()


def test_test_pictures_can_be_passed_over(root: Path, tmp_path: Path) -> None:
    make_fashion_mnist(root, tmp_path / "first", 1, 1, keep_quiet)
    make_fashion_mnist(root, tmp_path / "rest", 1, 1, keep_quiet, skip=1)
    first, rest = (load_labelled(tmp_path / folder) for folder in ("first", "rest"))
    assert [file.name for file in first["train"].files] == [file.name for file in rest["train"].files]
    assert not {file.name for file in first["test"].files} & {file.name for file in rest["test"].files}
    assert len(rest["test"]) == 10


def test_what_is_missing_or_no_idx_file_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="unpack Debian's dataset-fashion-mnist there"):
        make_fashion_mnist(tmp_path / "out", tmp_path / "out", 1, 1, keep_quiet)
    images = next(root.rglob("train-images*"))
    for content in (b"no gzip", gzip.compress(b"short"), gzip.compress(images.read_bytes())):
        images.write_bytes(content)
        with pytest.raises(DatasetError, match="is not an IDX file of 3 dimensions"):
            make_fashion_mnist(root, tmp_path / "out", 1, 1, keep_quiet)
    write_idx(images, np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(DatasetError, match="3 pictures and 20 labels of train do not go together"):
        make_fashion_mnist(root, tmp_path / "out", 1, 1, keep_quiet)
