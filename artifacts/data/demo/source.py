"""One source picture, and the rule that says which split it belongs to.

The unit of the split is the source *file*: it is held out when the SHA-256 of its path below `usr/share` is
divisible by six. Siblings of a held-out file are not trained on either; see `families`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

Split = Literal["train", "val"]
Role = Literal["stamp", "emoji", "background"]

HOLD_OUT = 6
"""One file in this many is held out."""


@dataclass(frozen=True, slots=True)
class Source:
    """One decoded picture. `image` is RGB for a background; RGBA, cropped to the object, for a foreground."""

    path: str
    """Path below `usr/share`, with forward slashes."""
    role: Role
    split: Split
    label: int
    """Class index, 1..20; 0 for a background."""
    image: Image.Image


def held_out(path: str) -> bool:
    """Whether the file at `path` (below `usr/share`, forward slashes, no leading one) is for validation."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest(), "big") % HOLD_OUT == 0


def list_files(share: Path, folders: Sequence[str]) -> list[str]:
    """Paths below `share` of the files in `folders`, sorted; links are other names of files listed anyway."""
    found = (p for folder in folders for p in (share / folder).rglob("*"))
    return sorted(p.relative_to(share).as_posix() for p in found if p.is_file() and not p.is_symlink())
