"""`--dataset`: the bundled demonstration set, VOC2012 (whole, or a fold of Pascal-5i), or a folder of pairs."""

from pathlib import Path

from artifacts.data.pairs import is_pairs, load_pairs, split_pairs
from artifacts.data.pascal import load_fold, read_scenes, split_entries
from artifacts.data.scenes import TUNE, Scenes, has_split, load_scenes
from artifacts.errors import DatasetError, OfflineError
from artifacts.paths import BUNDLED_DEMO
from artifacts.store.file import check_name
from artifacts.suggest import did_you_mean
from artifacts.tasks import COMPOSITES, TASKS, pair_task
from artifacts.tasks.task import Task
from engine.geometry import Geometry

VALIDATION_SHARE = 0.375
"""Of the training split, where there is no `tune`: never shown to collect or search."""
LEAST = 2
"""Scenes of a part: an example and a query."""
LEAST_PAIRS = 8


def dataset_path(name: str) -> Path:
    """`demo` is the bundled data set, anything else a folder."""
    return BUNDLED_DEMO if name == "demo" else Path(name)


def splits(name: str, geometry: Geometry, fold: int | None = None) -> dict[str, Scenes]:
    """`search`, `validation` and `test` (held out); raises DatasetError.

    `validation` is the data set's `tune` split where it lists one, else of the training split. Of a VOC2012-layout
    folder without `fold`, every object is foreground, whatever its class.
    """
    path = dataset_path(name)
    if is_pairs(path):
        if fold is not None:
            raise OfflineError(f"{path} holds pairs: --fold is for VOC2012-layout folders")
        parts = split_pairs(load_pairs(path, geometry.cell))
        if min(map(len, parts.values())) < LEAST:
            count = sum(map(len, parts.values()))
            raise DatasetError(
                f"{path} holds {count} {'pair' if count == 1 else 'pairs'}; to search and to test takes {LEAST_PAIRS} "
                "or more (`vtv teach` takes 2)"
            )
        return parts
    if fold is not None:
        return load_fold(path, fold, geometry.cell, VALIDATION_SHARE)
    train, test = (load_scenes(path, split, geometry.cell) for split in ("train", "val"))
    source = {"search": "train", "validation": TUNE if has_split(path, TUNE) else "train", "test": "val"}
    if source["validation"] == TUNE:
        search, validation = train, load_scenes(path, TUNE, geometry.cell)
    else:
        cut = int(len(train) * (1 - VALIDATION_SHARE))
        search, validation = train.part(slice(cut)), train.part(slice(cut, None))
    parts = {"search": search, "validation": validation, "test": test}
    for part, scenes in parts.items():
        if len(scenes) < LEAST:
            listing = path / "ImageSets/Segmentation" / f"{source[part]}.txt"
            raise DatasetError(
                f"{listing} lists too few pictures: {len(scenes)} for {part}, which takes {LEAST} or more"
            )
    return parts


def held_out_scenes(name: str, side: int, fold: int | None, limit: int) -> Scenes:
    """The first `limit` pictures of the `test` split at another size, side x side; raises DatasetError."""
    path = dataset_path(name)
    if is_pairs(path):
        return split_pairs(load_pairs(path, side))["test"]
    if fold is not None:
        entries = split_entries(path, "val", fold)
        first = {name: entries[name] for name in sorted(entries)[:limit]}
        return read_scenes(path, first, side, f"the start of the test split of fold {fold}")
    return load_scenes(path, "val", side, limit=limit)


def find_task(name: str, dataset: str) -> Task:
    """A task by its name; on a folder of pairs any name will do. Raises OfflineError, which lists the tasks."""
    if is_pairs(dataset_path(dataset)):
        check_name(name)
        return pair_task(name)
    known = {**TASKS, **COMPOSITES}
    if name not in known:
        raise OfflineError(f"no task {name}; choose one of {', '.join(known)}{did_you_mean(name, known)}")
    return known[name]
