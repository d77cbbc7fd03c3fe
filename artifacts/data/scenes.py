"""Scenes of a VOC2012-layout data set as two uint8 arrays, for training at full speed."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifacts.errors import DatasetError

VOID = 255  # VOC's label for object borders
_CLASSES = 20
_ASPECT_OFF = 0.05
"""Share by which a mask's sides may be in another proportion than its picture's, as rounding makes them."""
TEST_EVERY = 5
"""Where a folder has no lists, which names are for the test."""
PLAIN = "plain"
"""A split of scenes whose foreground nobody knows: all of their labels are void."""
TUNE = "tune"
"""A split to choose on, of pictures that the model was not trained on either."""


@dataclass(frozen=True, slots=True)
class Scenes:
    """Pictures uint8 [N,side,side,3] and foreground masks uint8 [N,side,side] in {0, 1}.

    `classes` int64 [N], where there are any: the example and the query of an episode share theirs.
    `outputs` uint8 [N,side,side,3], where the data set itself says what each picture is to become. `labels` int64
    [N], where the data set names classes: the one that is foreground, or shows most; nothing but reports use it.
    """

    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    classes: NDArray[np.int64] | None = None
    outputs: NDArray[np.uint8] | None = None
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def part(self, index: slice | NDArray[np.int64]) -> "Scenes":
        """Some of the scenes."""
        classes = None if self.classes is None else self.classes[index]
        outputs = None if self.outputs is None else self.outputs[index]
        labels = None if self.labels is None else self.labels[index]
        return Scenes(self.pictures[index], self.masks[index], classes, outputs, labels)


def names_of(dataset: Path, split: str) -> list[str]:
    """The names a split lists, else every fifth for `val` and the rest for `train`; raises DatasetError."""
    lists = dataset / "ImageSets" / "Segmentation"
    if (lists / f"{split}.txt").is_file():
        return (lists / f"{split}.txt").read_text().split()
    if any(lists.glob("*.txt")):
        raise DatasetError(f"{dataset} is not in VOC2012 layout: ImageSets/Segmentation/{split}.txt is missing")
    masks = {path.stem for path in mask_folder(dataset).glob("*.png")}
    names = sorted(masks.intersection(path.stem for path in (dataset / "JPEGImages").glob("*.jpg")))
    if not names and not (dataset / "JPEGImages").is_dir():
        raise DatasetError(
            f"{dataset} is no data set: that has JPEGImages/NAME.jpg and SegmentationClass/NAME.png (VOC2012 layout), "
            "or input/NAME.* and output/NAME.* (pairs); pictures alone do not show where the objects are"
        )
    if not names:
        raise DatasetError(
            f"{dataset} is not in VOC2012 layout: JPEGImages and {mask_folder(dataset).name} share no name"
        )
    return [name for index, name in enumerate(names) if (index % TEST_EVERY == 0) == (split == "val")]


def mask_folder(dataset: Path) -> Path:
    """SegmentationClassAug, the larger set of masks that few-shot work uses, else VOC's own SegmentationClass."""
    own = dataset / "SegmentationClass"
    augmented = dataset / "SegmentationClassAug"
    return own if own.is_dir() and not augmented.is_dir() else augmented


def has_split(dataset: Path, split: str) -> bool:
    """Whether the data set lists such a split."""
    return (dataset / "ImageSets" / "Segmentation" / f"{split}.txt").is_file()


def read_scene(dataset: Path, name: str, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """One picture [side,side,3] (bicubic), its foreground mask [side,side] (nearest), and the class it shows most."""
    picture, labels = read_labelled(dataset, name, side)
    foreground = (labels > 0) & (labels != VOID)
    most = int(np.bincount(labels[foreground]).argmax()) if foreground.any() else 0
    return picture, foreground.astype(np.uint8), most


def read_labelled(dataset: Path, name: str, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One picture [side,side,3] (bicubic) and its class labels [side,side] (nearest); raises DatasetError."""
    picture, mask = dataset / "JPEGImages" / f"{name}.jpg", mask_folder(dataset) / f"{name}.png"
    pixels, (width, height) = _read(picture, "RGB", (side, side), Image.Resampling.BICUBIC)
    labels, size = _read(mask, None, (side, side), Image.Resampling.NEAREST)
    if abs(size[0] * height / (size[1] * width) - 1) > _ASPECT_OFF:
        raise DatasetError(f"{mask} is of {size[0]}x{size[1]} pixels, its picture of {width}x{height}: it does not fit")
    if (labels == VOID).any() and ((labels > _CLASSES) & (labels < VOID)).any():
        raise DatasetError(
            f"{mask} holds gray levels, not class labels: {VOID} is void in VOC's layout, an object is labelled 1 to 20"
        )
    return pixels, labels


def _read(
    path: Path, mode: str | None, size: tuple[int, int], how: Image.Resampling
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A picture at another size, and its own width and height."""
    try:
        with Image.open(path) as image:
            own, loses = image.size, image.format == "JPEG"
            array = np.asarray((image.convert(mode) if mode else image).resize(size, how))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DatasetError(f"{path} cannot be read: {' '.join(why.split())}") from None
    if array.dtype != np.uint8 or array.ndim != (3 if mode else 2) or (loses and not mode):
        raise DatasetError(f"{path} holds no class labels: it must be an 8-bit PNG of one channel or a palette")
    return array, own


def load_scenes(dataset: Path, split: str, side: int, cache: Path | None = None, limit: int | None = None) -> Scenes:
    """All scenes of a split, or its first; with `cache` (a folder) decoded once and memory-mapped afterwards."""
    files = [cache / f"{split}-{side}-{kind}.npy" for kind in ("pictures", "masks")] if cache else []
    if files and all(file.is_file() for file in files):
        return Scenes(*(np.load(file, mmap_mode="r") for file in files))
    names = names_of(dataset, split)[:limit]
    pictures = np.empty((len(names), side, side, 3), np.uint8)
    masks = np.empty((len(names), side, side), np.uint8)
    labels = np.empty(len(names), np.int64)
    for index, name in enumerate(names):
        pictures[index], masks[index], labels[index] = read_scene(dataset, name, side)
    if names and split != PLAIN and not masks.any():
        raise DatasetError(
            f"{mask_folder(dataset)} shows no object: the masks of {split} hold nothing but 0 (background) and {VOID} "
            "(void, in VOC's layout); an object is labelled 1 to 20"
        )
    for file, array in zip(files, (pictures, masks), strict=False):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.npy")  # processes of one job write it side by side
        np.save(partial, array)
        partial.replace(file)
    return Scenes(pictures, masks, labels=labels)
