"""Pictures with classes, and the two layouts they are read from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.errors import DatasetError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Labelled:
    """Picture files with a class number each; `names` of all classes, in the order of their numbers."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, rows: Sequence[int]) -> "Labelled":
        """Some of the pictures, in this order."""
        return Labelled(tuple(self.files[row] for row in rows), tuple(self.labels[row] for row in rows), self.names)

    def classes(self, names: Sequence[str]) -> "Labelled":
        """The pictures of these classes alone, renumbered in this order; raises DatasetError."""
        for name in names:
            if name not in self.names:
                raise DatasetError(f"there is no class {name!r} in this data set")
        number = {self.names.index(name): new for new, name in enumerate(names)}
        kept = [row for row, label in enumerate(self.labels) if label in number]
        chosen = self.rows(kept)
        return Labelled(chosen.files, tuple(number[label] for label in chosen.labels), tuple(names))


def base_and_novel(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The first half of the classes, rounded up, and the rest, as CoOp's base-to-novel protocol splits them."""
    half = (len(names) + 1) // 2
    return tuple(names[:half]), tuple(names[half:])


def load_labelled(path: Path, images: Path | None = None) -> dict[str, Labelled]:
    """The splits of a folder of class folders, or of one of CoOp's split files; raises DatasetError.

    `images` is where the pictures of a split file lie; beside it where not given.
    """
    return _split_file(path, images or path.parent) if path.suffix == ".json" else _class_folders(path)


def is_classes(root: Path) -> bool:
    """Whether a folder holds folders and nothing else."""
    return all((root / name).is_dir() for name in _visible(root)) and bool(_visible(root))


def load_classes(root: Path) -> Labelled:
    """`CLASS/*` of one folder, without splits; raises DatasetError."""
    return _folder(root, _visible(root))


def of_labels(files: Sequence[Path], labels: Sequence[str]) -> Labelled:
    """Files with the name of each one's class; classes are numbered in the order of their names."""
    names = tuple(sorted(set(labels)))
    return Labelled(tuple(files), tuple(map(names.index, labels)), names)


def _class_folders(root: Path) -> dict[str, Labelled]:
    """`train/CLASS/*` and `test/CLASS/*`; `val/CLASS/*` where it is there."""
    found = [split for split in SPLITS if (root / split).is_dir()]
    if "train" not in found or "test" not in found:
        raise DatasetError(f"{root} is no folder of class folders: it needs train/CLASS/* and test/CLASS/*")
    names = _visible(root / "train")
    for split in found:
        if _visible(root / split) != names:
            odd = sorted(set(_visible(root / split)) ^ set(names))
            raise DatasetError(f"{root / split} and {root / 'train'} differ in classes: {', '.join(odd)[:200]}")
    return {split: _folder(root / split, names) for split in found}


def _folder(root: Path, names: Sequence[str]) -> Labelled:
    pairs = [(root / name / file, label) for label, name in enumerate(names) for file in _visible(root / name)]
    for label, name in enumerate(names):
        if not any(own == label for _, own in pairs):
            raise DatasetError(f"{root / name} holds no pictures")
    return Labelled(tuple(file for file, _ in pairs), tuple(label for _, label in pairs), tuple(names))


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _split_file(path: Path, images: Path) -> dict[str, Labelled]:
    """`{"train": [[FILE, LABEL, NAME], ...], "val": ..., "test": ...}`."""
    try:
        held = json.loads(path.read_text())
        rows = {split: [_entry(entry) for entry in held[split]] for split in SPLITS if split in held}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is not one of CoOp's split files: {' '.join(str(error).split())[:160]}") from None
    if not rows.get("train") or not rows.get("test"):
        raise DatasetError(f"{path} has no pictures to train on or none to test on")
    names = _names(path, [(label, name) for part in rows.values() for _, label, name in part])
    return {
        split: Labelled(tuple(images / file for file, _, _ in part), tuple(label for _, label, _ in part), names)
        for split, part in rows.items()
    }


def _entry(entry: Any) -> tuple[str, int, str]:
    file, label, name = entry
    return str(file), int(label), str(name)


def _names(path: Path, pairs: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    by_label: dict[int, str] = {}
    for label, name in pairs:
        if by_label.setdefault(label, name) != name:
            raise DatasetError(f"{path}: class {label} is {by_label[label]!r} and {name!r}")
    if sorted(by_label) != list(range(len(by_label))):
        raise DatasetError(f"{path}: classes are not numbered 0..{len(by_label) - 1}")
    names = tuple(by_label[label] for label in range(len(by_label)))
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"{path}: two classes have the name {twice!r}")
    return names
