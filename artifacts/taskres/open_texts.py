"""The text side of a tower's folder: CLIP's own, or the map beside it."""

from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.taskres.class_texts import ClassTexts
from artifacts.taskres.clip import Clip
from artifacts.taskres.text_base import MappedTexts
from artifacts.taskres.text_map import load_text_map
from engine.towers.folder import half_fingerprint, read_fingerprint


def open_texts(tower: Path, clip: Path | None = None) -> ClassTexts:
    """For a tower's folder; `clip`: the folder that it was imported from, if any. Raises OfflineError."""
    mark = read_fingerprint(tower)
    if clip is None:
        return MappedTexts(load_text_map(tower, mark))
    texts = Clip(clip)
    if half_fingerprint(texts.image_tower()) != mark:
        raise OfflineError(f"the tower at {tower} was not imported from {clip}: its texts would not fit")
    texts.tower = mark
    return texts
