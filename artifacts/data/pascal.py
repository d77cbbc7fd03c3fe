"""Pascal-5i (Shaban et al., One-Shot Learning for Semantic Segmentation, 2017): VOC2012's classes in four folds.

A scene is a picture and one class of it: that class alone is foreground, and the example and the query of
an episode share it. Which classes a picture shows is said by the fold lists of few-shot segmentation
(`splits/pascal/{trn,val}/fold*.txt`, lines `NAME__CLASS`) when the folder has them, else by its masks; which
pictures are for training by `ImageSets/Segmentation`, else every fifth name is for the test.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from artifacts.data.scenes import Scenes, names_of, read_labelled
from artifacts.errors import DatasetError

FOLDS, CLASSES_A_FOLD = 4, 5
LISTS = {"train": "trn", "val": "val"}

Entries = dict[str, frozenset[int]]
"""Picture name -> classes to look for in its mask."""


def fold_classes(fold: int) -> frozenset[int]:
    """VOC's labels of a fold: five of 1..20 in their order; raises DatasetError."""
    if fold not in range(FOLDS):
        raise DatasetError(f"there is no fold {fold}: Pascal-5i has 0 to {FOLDS - 1}")
    return frozenset(range(fold * CLASSES_A_FOLD + 1, (fold + 1) * CLASSES_A_FOLD + 1))


def load_fold(dataset: Path, fold: int, side: int, validation_share: float) -> dict[str, Scenes]:
    """`search`, `validation` (the last pictures of the training split) and `test`; raises DatasetError."""
    train, test = (split_entries(dataset, split, fold) for split in ("train", "val"))
    names = sorted(train)
    cut = int(len(names) * (1 - validation_share))
    parts = {
        "search": {name: train[name] for name in names[:cut]},
        "validation": {name: train[name] for name in names[cut:]},
        "test": test,
    }
    return {part: read_scenes(dataset, entries, side, f"{part} of fold {fold}") for part, entries in parts.items()}


def split_entries(dataset: Path, split: str, fold: int) -> Entries:
    """The pictures of a split with the fold's classes that they may show."""
    classes = fold_classes(fold)
    for folder in ("splits/pascal", "splits"):
        path = dataset / folder / LISTS[split] / f"fold{fold}.txt"
        if path.is_file():
            return _listed(path, classes)
    return dict.fromkeys(names_of(dataset, split), classes)


def read_scenes(dataset: Path, entries: Entries, side: int, what: str) -> Scenes:
    """One scene for each class that a mask shows at this size; classes of a single scene are left out."""
    found: list[tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...]] = []
    classes: list[int] = []
    for name in sorted(entries):
        picture, labels = read_labelled(dataset, name, side)
        for number in sorted(entries[name].intersection(np.unique(labels).tolist())):
            found.append((picture, (labels == number).astype(np.uint8)))
            classes.append(number)
    counted = Counter(classes)
    keep = [index for index, number in enumerate(classes) if counted[number] > 1]
    if not keep:
        raise DatasetError(f"{dataset}: {what} is empty: none of its classes has two pictures")
    pictures, masks = (np.stack([found[index][part] for index in keep]) for part in (0, 1))
    numbers = np.asarray(classes, np.int64)[keep]
    return Scenes(pictures, masks, numbers, labels=numbers)


def _listed(path: Path, classes: frozenset[int]) -> Entries:
    entries: dict[str, set[int]] = {}
    for number, line in enumerate(path.read_text().split(), start=1):
        name, _, label = line.rpartition("__")
        if not name or not label.isdecimal() or int(label) not in classes:
            raise DatasetError(f"{path}:{number}: {line[:80]!r} is not NAME__CLASS with a class of this fold")
        entries.setdefault(name, set()).add(int(label))
    return {name: frozenset(numbers) for name, numbers in entries.items()}
