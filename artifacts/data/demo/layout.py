"""Write a demonstration set in the layout of VOC2012, so that whatever reads Pascal-5i reads it too."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from artifacts.console import keep_quiet
from artifacts.data.demo.attribution import licence_of, write_attribution
from artifacts.data.demo.classes import CLASS_NAMES
from artifacts.data.demo.compose import compose
from artifacts.data.demo.pools import Pool, load_pools
from artifacts.data.demo.source import Source, Split
from artifacts.errors import DatasetError
from artifacts.progress import Progress, Steps

_STREAM: dict[Split, int] = {"train": 0, "val": 1}
_pools: dict[Split, Pool] = {}
"""This process's decoded pictures; a worker gets the parent's by forking, so nothing is decoded twice."""


def make_demo(
    root: Path,
    out: Path,
    *,
    size: int,
    train: int,
    val: int,
    seed: int,
    workers: int = 1,
    progress: Progress = keep_quiet,
) -> None:
    """Make `train` + `val` scenes of `size` x `size` pixels below `out` from the packages unpacked in `root`.

    Writes JPEGImages/, SegmentationClassAug/ (palette PNG: 0 background, 1..20 class), SOURCES.json,
    ImageSets/Segmentation/{train,val}.txt, ATTRIBUTION.md and licences/. Each scene has a stream of its own,
    so the bytes depend on `seed` and not on `workers`. Raises DatasetError on sizes out of range and on a
    `root` without usable pictures in both splits.
    """
    if not 16 <= size <= 1024 or min(train, val) < 0 or workers < 1:
        raise DatasetError("size must be 16..1024, counts not negative, workers at least 1")
    pools = load_pools(root, background_side=min(1000, max(640, round(2.5 * size))))
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    counts: tuple[tuple[Split, int], ...] = (("train", train), ("val", val))
    jobs = [(split, index) for split, count in counts for index in range(count)]
    shown = Steps("demo scenes", len(jobs), 0, progress)
    try:
        _write_scenes(pools, partial(_write_scene, out, size, seed), jobs, workers, shown)
    finally:
        shown.close()
    for split, count in counts:
        names = "".join(f"{_name(split, index)}\n" for index in range(count))
        (out / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(names)
    sources = [source for pool in pools.values() for source in pool.sources]
    _write_sources(root, out / "SOURCES.json", sources)
    write_attribution(root, out, [source.path for source in sources])


def _write_scenes(
    pools: dict[Split, Pool], write: partial[None], jobs: Sequence[tuple[Split, int]], workers: int, shown: Steps
) -> None:
    if workers == 1:
        _adopt(pools)
        for job in jobs:
            write(job)
            shown.update(job[0])
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=fork, initializer=_start_worker, initargs=(pools,)) as executor:
        try:
            for (split, _), _ in zip(jobs, executor.map(write, jobs, chunksize=64), strict=True):
                shown.update(split)
        except KeyboardInterrupt:
            executor.shutdown(cancel_futures=True)
            raise


def _start_worker(pools: dict[Split, Pool]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    _adopt(pools)


def _adopt(pools: dict[Split, Pool]) -> None:
    _pools.update(pools)


def _name(split: Split, index: int) -> str:
    return f"{split}_{index:06d}"


def _write_scene(out: Path, size: int, seed: int, job: tuple[Split, int]) -> None:
    split, index = job
    scene = compose(_pools[split], size, np.random.default_rng([seed, _STREAM[split], index]))
    name = _name(split, index)
    quality = 90 if size <= 192 else 85
    Image.fromarray(scene.image).save(out / "JPEGImages" / f"{name}.jpg", quality=quality)
    mask = Image.fromarray(scene.mask, mode="P")
    mask.putpalette(voc_palette())
    mask.save(out / "SegmentationClassAug" / f"{name}.png", optimize=size > 192)


def voc_palette() -> bytes:
    """The 256 RGB triples of VOC's masks: index bits 0, 3, 6 go to red's top bits, 1, 4, 7 to green's."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        channel, shift = bit % 3, 7 - bit // 3
        colours[:, channel] |= (((index >> bit) & 1) << shift).astype(np.uint8)
    return colours.tobytes()


def _write_sources(root: Path, path: Path, sources: Sequence[Source]) -> None:
    rows = [
        {
            "path": source.path,
            "role": source.role,
            "split": source.split,
            "class": CLASS_NAMES[source.label - 1] if source.label else None,
            "licence": licence_of(source.path),
        }
        for source in sorted(sources, key=lambda source: source.path)
    ]
    path.write_text(json.dumps({"classes": CLASS_NAMES, "sources": rows}, indent=1) + "\n")
