"""The decoded pictures that the scenes of each split are drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from artifacts.data.demo.backgrounds import load_backgrounds
from artifacts.data.demo.cutouts import load_emoji, load_stamps
from artifacts.data.demo.source import Source, Split
from artifacts.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Pool:
    """Everything one split may draw from."""

    stamps: tuple[Source, ...]
    emoji: tuple[Source, ...]
    backgrounds: tuple[Source, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them."""
        return self.stamps + self.emoji + self.backgrounds


def load_pools(root: Path, *, background_side: int) -> dict[Split, Pool]:
    """Decode every usable picture below `root/usr/share` once, and deal the pictures to the two splits.

    Backgrounds are reduced to a shorter side of `background_side` pixels. Raises DatasetError when a split
    would be left without a foreground or without a background.
    """
    share = root / "usr" / "share"
    stamps, emoji = load_stamps(share), load_emoji(share)
    backgrounds = load_backgrounds(share, background_side)
    splits: tuple[Split, ...] = ("train", "val")
    pools = {split: Pool(_of(stamps, split), _of(emoji, split), _of(backgrounds, split)) for split in splits}
    for split, pool in pools.items():
        if not pool.backgrounds or not pool.stamps + pool.emoji:
            raise DatasetError(f"{share}: no usable foreground or no usable background for the {split} split")
    return pools


def _of(sources: Iterable[Source], split: Split) -> tuple[Source, ...]:
    return tuple(source for source in sources if source.split == split)
