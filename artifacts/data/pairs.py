"""A folder of pairs: `input/NAME.*` is to become `output/NAME.*`."""

from pathlib import Path

import numpy as np

from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError, OfflineError
from artifacts.pictures.limits import COMMANDS_LIMITS, PictureLimits
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import resized
from engine.geometry import Pixels

INPUT, OUTPUT = "input", "output"


def is_pairs(directory: Path) -> bool:
    """Whether a folder is laid out as pairs."""
    return (directory / INPUT).is_dir() and (directory / OUTPUT).is_dir()


def load_pairs(directory: Path, side: int, limits: PictureLimits = COMMANDS_LIMITS) -> Scenes:
    """Every pair, by name, both pictures at side x side (bicubic); raises DatasetError that names the file."""
    if not is_pairs(directory):
        raise DatasetError(f"{directory} holds no pairs: it needs the folders {INPUT} and {OUTPUT}")
    inputs, outputs = (_by_name(directory / part) for part in (INPUT, OUTPUT))
    for name in sorted(inputs.keys() ^ outputs.keys()):
        raise DatasetError(f"{inputs.get(name) or outputs.get(name)} has no partner of its name")
    if not inputs:
        raise DatasetError(f"{directory} holds no pairs: its folders are empty")
    pictures, wanted = (
        np.stack([_read(files[name], side, limits) for name in sorted(inputs)]) for files in (inputs, outputs)
    )
    return Scenes(pictures, np.zeros(pictures.shape[:3], np.uint8), None, wanted)


def split_pairs(pairs: Scenes) -> dict[str, Scenes]:
    """In the order of names: of every four pairs two are for `search`, one for `validation`, one for `test`."""
    place = np.arange(len(pairs)) % 4
    parts = {"search": place % 2 == 0, "validation": place == 1, "test": place == 3}
    return {name: pairs.part(np.flatnonzero(chosen)) for name, chosen in parts.items()}


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise DatasetError(f"{path} and {found[path.stem].name} have one name: which of them is meant?")
        found[path.stem] = path
    return found


def _read(path: Path, side: int, limits: PictureLimits) -> Pixels:
    try:
        return resized(read_file(path, side, limits), side)
    except OfflineError as error:
        raise DatasetError(str(error)) from None
