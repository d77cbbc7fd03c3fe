"""The demonstration set's class indices, in VOC's range 1..20, from where a source picture comes from."""

from __future__ import annotations

CLASS_NAMES = (
    "bird", "mammal", "sea animal", "insect", "other animal", "clothing", "fruit", "vegetable", "other food",
    "hobby", "household", "medical", "military", "person", "flower", "plant", "season", "space and weather",
    "sport and town", "vehicle",
)  # fmt: skip
"""Name of class 1, 2, ... 20."""

_FOLDERS = (
    ("animals/birds", 1), ("animals/mammals/aquatic", 3), ("animals/mammals", 2), ("animals/marsupials", 2),
    ("animals/fish", 3), ("animals/shellfish", 3), ("animals/insects", 4), ("animals", 5), ("clothes", 6),
    ("food/fruit", 7), ("food/vegetables", 8), ("food", 9), ("hobbies", 10), ("household", 11),
    ("medical", 12), ("military", 13), ("people", 14), ("plants/flowers", 15), ("plants", 16),
    ("seasonal", 17), ("space", 18), ("naturalforces", 18), ("sports", 19), ("town", 19), ("vehicles", 20),
)  # fmt: skip
"""Stamp folder to class; the first prefix that fits counts."""

_CODE_POINTS = (
    (0x1F320, 18), (0x1F32C, 18), (0x1F330, 9), (0x1F337, 16), (0x1F33D, 15), (0x1F344, 16), (0x1F346, 16),
    (0x1F353, 7), (0x1F37F, 9), (0x1F39F, 17), (0x1F3CF, 10), (0x1F3FF, 19), (0x1F43F, 2), (0x1F450, 14),
    (0x1F462, 6), (0x1F487, 14), (0x1F5FF, 11), (0x1F64F, 14), (0x1F6C5, 20), (0x1F6E3, 11), (0x1F6FF, 20),
    (0x1F93F, 14), (0x1F94F, 19), (0x1F96F, 9), (0x1F97F, 14), (0x1F9B4, 2), (0x1F9CB, 9), (0x1F9DF, 14),
    (0x1FA77, 6), (0x1FAAF, 11), (0x1FAB4, 4), (0x1FABF, 16), (0x1FACF, 14), (0x1FADF, 9), (0x1FAFF, 14),
)  # fmt: skip
"""Last code point of a run of emoji, and the class that fits the run best."""


def stamp_class(path: str) -> int:
    """Class 1..20 of a stamp at `tuxpaint/stamps/...`; folders that nobody knows are `household`."""
    inside = path.removeprefix("tuxpaint/stamps/")
    return next((label for folder, label in _FOLDERS if inside.startswith(folder + "/")), 11)


def emoji_class(code: int) -> int:
    """Class 1..20 of the emoji at Unicode code point `code`: coarse, by runs of the code chart."""
    return next((label for last, label in _CODE_POINTS if code <= last), 11)
