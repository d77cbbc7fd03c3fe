"""Write a set of photographs in the layout of VOC2012, so that whatever reads Pascal-5i reads it too."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from artifacts.data.photos.compose import Scene, pair, pair_or_composite, plain
from artifacts.data.photos.pools import Pool, load_pools
from artifacts.data.photos.saliency import Saliency, network_file
from artifacts.data.photos.source import Photo, Split, list_photos
from artifacts.data.scenes import PLAIN, TUNE, VOID
from artifacts.errors import DatasetError
from artifacts.progress import Progress, Steps

Draw = Callable[[Pool, int, np.random.Generator], Scene]

_PLAIN = 4
"""For so many scenes to train on there is one more, without a mask: for tasks that need none."""


def make_photos(
    folders: Sequence[Path],
    out: Path,
    *,
    size: int,
    train: int,
    tune: int,
    val: int,
    seed: int,
    progress: Progress,
    saliency: Path | None = None,
) -> None:
    """Make `train` + `tune` + `val` scenes of `size` x `size` pixels below `out` from the photographs in `folders`.

    `tune` and `val` are of photographs held out from training, to choose on and to test on; they are photographs only,
    no composites. Of few photographs none may fall to `tune`, which is then not listed. A quarter of `train` more,
    listed as `plain`, has no masks: for training on tasks that need none. Writes JPEGImages/, SegmentationClassAug/
    (PNG: 0 background, 1 object, or 255 everywhere), ImageSets/Segmentation/{train,tune,val,plain}.txt and
    SOURCES.json. A scene has a stream of its own, so its bytes depend on `seed` only, and what an interrupted run has
    written is kept. `saliency`: the network's file, where it is not to be the installed package's. Raises DatasetError
    on sizes out of range and where `train` or `val` would be empty.
    """
    if not 16 <= size <= 1024 or min(train, tune, val) < 0:
        raise DatasetError("size must be 16..1024, counts not negative")
    photos = list_photos(folders)
    pools = load_pools(photos, Saliency(saliency or network_file(), out / "saliency"), progress)
    if not pools["val"].pairs:  # of few photographs: to test on counts more than to choose on
        pools["val"], pools["tune"] = pools["tune"], pools["val"]
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    needed: tuple[tuple[Split, int], ...] = (("train", train), ("val", val))
    for split, count in needed:
        if count and not pools[split].pairs:
            raise DatasetError(f"no photograph of the {split} split has a usable mask")
    without = train // _PLAIN if pools["train"].plain or pools["train"].backgrounds else 0
    lists: list[tuple[str, Pool, Draw, int]] = [
        ("train", pools["train"], pair_or_composite, train),
        ("val", pools["val"], pair, val),
        (PLAIN, pools["train"], plain, without),
    ]
    if tune and pools["tune"].pairs:  # else settings are chosen on pictures of `train`
        lists.append((TUNE, pools["tune"], pair, tune))
    for stream, (label, pool, draw, count) in enumerate(lists):

        def scene(index: int, pool: Pool = pool, draw: Draw = draw, stream: int = stream) -> Scene:
            return draw(pool, size, np.random.default_rng([seed, stream, index]))

        _write_list(out, label, count, progress, scene)
    _write_sources(out / "SOURCES.json", photos, pools)


def _write_list(out: Path, label: str, count: int, progress: Progress, draw: Callable[[int], Scene]) -> None:
    steps = Steps(f"{label} scenes", count, 0, progress)
    names = [f"{label}_{index:06d}" for index in range(count)]
    for index, name in enumerate(names):
        mask = out / "SegmentationClassAug" / f"{name}.png"
        if not mask.is_file():  # written last
            _write_scene(draw(index), out / "JPEGImages" / f"{name}.jpg", mask)
        steps.update("written")
    steps.close()
    (out / "ImageSets" / "Segmentation" / f"{label}.txt").write_text("".join(f"{name}\n" for name in names))


def _write_scene(scene: Scene, picture: Path, mask: Path) -> None:
    Image.fromarray(scene.image).save(picture, quality=92)
    labels = np.full(scene.image.shape[:2], VOID, np.uint8) if scene.mask is None else scene.mask // 255
    partial = mask.with_suffix(".partial")
    Image.fromarray(labels).save(partial, "PNG")
    partial.replace(mask)


def _write_sources(path: Path, photos: Sequence[Photo], pools: dict[Split, Pool]) -> None:
    """Which files, in which split, and how many pieces they gave."""
    pieces = {
        split: {name: len(getattr(pool, name)) for name in ("pairs", "plain", "cutouts", "backgrounds")}
        for split, pool in pools.items()
    }
    rows = [{"file": photo.path.name, "sha256": photo.digest, "split": photo.split} for photo in photos]
    path.write_text(json.dumps({"pieces": pieces, "photographs": rows}, indent=1) + "\n")
