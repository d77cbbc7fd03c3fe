"""The demonstration set: the split is clean, the masks are exact, the bytes depend on the seed only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from artifacts.data.demo import make_demo
from artifacts.data.demo.attribution import package_of
from artifacts.data.demo.backgrounds import load_backgrounds
from artifacts.data.demo.classes import CLASS_NAMES, emoji_class, stamp_class
from artifacts.data.demo.compose import compose
from artifacts.data.demo.families import family_name, group
from artifacts.data.demo.layout import voc_palette
from artifacts.data.demo.pools import Pool, load_pools
from artifacts.data.demo.source import Source, Split, held_out
from artifacts.errors import DatasetError

SIZE = 48


def _texture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Coarse coloured blobs under fine noise: unlike any other seed's, photographic enough to be let in."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 216, (6, 6, 3), dtype=np.uint8)).resize((width, height))
    noisy = np.asarray(coarse).astype(np.int16) + rng.integers(-30, 31, (height, width, 3))
    texture: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return texture


def _disc(seed: int) -> Image.Image:
    rows, columns = np.mgrid[:120, :120]
    alpha = np.where((rows - 60) ** 2 + (columns - 60) ** 2 < 50**2, 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([_texture(seed, 120, 120), alpha]))


def _names(pattern: str, held: bool, count: int) -> list[str]:
    """`count` paths of `pattern` that fall on the wanted side of the split."""
    return [p for p in (pattern.format(n) for n in range(500)) if held_out(p) == held][:count]


def _save(image: Image.Image, share: Path, path: str) -> str:
    (share / path).parent.mkdir(parents=True, exist_ok=True)
    image.save(share / path)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stamps, three wallpapers and one emoji on each side of the split, and a drawing."""
    root = tmp_path_factory.mktemp("unpacked")
    share = root / "usr" / "share"
    seed = 0
    for held in (False, True):
        for pattern in ("tuxpaint/stamps/animals/birds/b{}.png", "tuxpaint/stamps/vehicles/v{}.png"):
            for path in _names(pattern, held, 2):
                _save(_disc(seed := seed + 1), share, path)
        for path in _names("backgrounds/mate/nature/n{}x.png", held, 3):
            _save(Image.fromarray(_texture(seed := seed + 1, 420, 500)), share, path)
        for path in _names("fluent-emoji-3d/1f34{:x}.webp", held, 1):
            _save(_disc(seed := seed + 1), share, path)
    _save(_disc(seed := seed + 1), share, "tuxpaint/stamps/animals/birds/cartoon/drawn.png")
    licence = share / "doc" / "mate-backgrounds" / "copyright"
    licence.parent.mkdir(parents=True)
    licence.write_text("Files: *\nCopyright: 2011 A. Painter <a@example.org>\nLicense: CC-BY-SA-4.0\n")
    return root


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    make_demo(root, out, size=SIZE, train=6, val=4, seed=3)
    return out


def _digest(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_layout_is_that_of_voc(made: Path) -> None:
    for split, count in (("train", 6), ("val", 4)):
        names = (made / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()
        assert len(names) == len(set(names)) == count
        for name in names:
            with Image.open(made / "JPEGImages" / f"{name}.jpg") as image:
                assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
            with Image.open(made / "SegmentationClassAug" / f"{name}.png") as opened:
                mask = np.asarray(opened)
            assert mask.shape == (SIZE, SIZE)
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) <= {0, *range(1, 21)}
            assert 0.05 <= (mask > 0).mean() <= 0.60


def test_same_seed_same_bytes_whatever_the_workers(root: Path, made: Path, tmp_path: Path) -> None:
    make_demo(root, tmp_path, size=SIZE, train=6, val=4, seed=3, workers=2)
    assert _digest(tmp_path) == _digest(made)


def test_another_seed_gives_other_scenes(root: Path, made: Path, tmp_path: Path) -> None:
    make_demo(root, tmp_path, size=SIZE, train=1, val=0, seed=4)
    name = "JPEGImages/train_000000.jpg"
    assert (tmp_path / name).read_bytes() != (made / name).read_bytes()


def test_sources_are_split_by_the_hash_of_their_path(made: Path) -> None:
    rows = json.loads((made / "SOURCES.json").read_text())["sources"]
    assert {row["role"] for row in rows} == {"stamp", "emoji", "background"}
    for row in rows:
        digest = hashlib.sha256(row["path"].encode()).digest()
        assert (row["split"] == "val") == (int.from_bytes(digest, "big") % 6 == 0), row
        assert row["role"] != "emoji" or row["split"] == "train"
        assert "cartoon" not in row["path"]


def test_attribution_names_licence_and_author(made: Path) -> None:
    text = (made / "ATTRIBUTION.md").read_text()
    assert all(part in text for part in ("CC-BY-SA-4.0", "2011 A. Painter", "MIT"))
    assert (made / "licences" / "mate-backgrounds.txt").is_file()


def test_a_size_of_a_held_out_wallpaper_is_not_trained_on(root: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr" / "share").symlink_to(root / "usr" / "share", target_is_directory=True)
    before = load_pools(tree, background_side=64)["train"].backgrounds
    (tree / "usr" / "share").unlink()
    share = tree / "usr" / "share"
    for source in root.joinpath("usr/share").rglob("*.png"):
        with Image.open(source) as image:
            _save(image.copy(), share, source.relative_to(root / "usr" / "share").as_posix())
    victim = before[0].path
    with Image.open(share / victim) as image:
        smaller = image.resize((440, 400))
    sibling = next(p for p in _names("backgrounds/other/o{}.png", True, 1))
    _save(smaller, share, sibling)
    pools = load_pools(tree, background_side=64)
    assert victim not in {s.path for s in pools["train"].backgrounds}
    assert sibling in {s.path for s in pools["val"].backgrounds}
    assert victim not in {s.path for s in pools["val"].backgrounds}


def test_the_desktop_shows_through_a_wallpaper_with_alpha(tmp_path: Path) -> None:
    faint = np.dstack([_texture(1, 420, 500), np.full((420, 500), 128, dtype=np.uint8)])
    _save(Image.fromarray(faint), tmp_path, "backgrounds/faint.png")
    (background,) = load_backgrounds(tmp_path, 420)
    assert background.image.mode == "RGB"
    assert np.asarray(background.image).std() < 0.6 * faint[..., :3].std()


def test_family_by_name() -> None:
    assert family_name("wallpapers/Kay/contents/images/1x1.png") == family_name("wallpapers/Kay/shot.png")
    assert family_name("backgrounds/gnome/adwaita-d.webp") == family_name("backgrounds/gnome/adwaita-l.webp")
    assert family_name("backgrounds/m/Elephants_3840x2160.jpg") == family_name("backgrounds/m/Elephants.jpg")
    assert family_name("backgrounds/m/A-Dark-no-logo.png") == family_name("backgrounds/m/A-Cold-no-logo.png")
    assert family_name("backgrounds/m/Aqua.jpg") != family_name("backgrounds/m/Dune.jpg")


def test_family_by_content_sees_mirror_images() -> None:
    one, other = (np.random.default_rng(n).standard_normal((4, 4, 3)).astype(np.float32) for n in (1, 2))
    signatures = [s / np.linalg.norm(s) for s in (one, other, one[:, ::-1])]
    assert group(["a", "b", "c"], lambda path: path, signatures, 0.95) == [["a", "c"], ["b"]]


def test_mask_follows_the_object() -> None:
    """A red square on blue: with jitter and noise, red must still beat blue exactly inside the mask."""
    red = np.zeros((100, 100, 4), dtype=np.uint8)
    red[...] = (230, 60, 60, 255)
    stamp = Source("s.png", "stamp", "train", 7, Image.fromarray(red))
    background = Source("b.png", "background", "train", 0, Image.new("RGB", (200, 200), (60, 60, 230)))
    pool = Pool((stamp,), (), (background,))
    for index in range(20):
        scene = compose(pool, SIZE, np.random.default_rng(index))
        assert set(np.unique(scene.mask)) == {0, 7}
        redder = scene.image[..., 0].astype(int) > scene.image[..., 2].astype(int)
        assert (redder == (scene.mask > 0)).mean() > 0.97


def test_an_object_that_never_fits_is_an_error() -> None:
    hollow = Source("s.png", "stamp", "train", 1, Image.new("RGBA", (100, 100)))
    background = Source("b.png", "background", "train", 0, Image.new("RGB", (200, 200)))
    with pytest.raises(RuntimeError, match="usable foreground"):
        compose(Pool((hollow,), (), (background,)), SIZE, np.random.default_rng(0))


def test_classes_are_in_range_and_stable() -> None:
    assert len(CLASS_NAMES) == 20
    assert CLASS_NAMES[stamp_class("tuxpaint/stamps/animals/birds/a.png") - 1] == "bird"
    assert CLASS_NAMES[stamp_class("tuxpaint/stamps/animals/mammals/cats/a.png") - 1] == "mammal"
    assert CLASS_NAMES[emoji_class(0x1F34E) - 1] == "fruit"
    assert all(1 <= emoji_class(code) <= 20 for code in range(0x1F300, 0x1FB00))


def test_palette_is_vocs() -> None:
    palette = voc_palette()
    assert len(palette) == 768
    assert [tuple(palette[3 * n : 3 * n + 3]) for n in (0, 1, 2, 15, 20)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (192, 128, 128), (0, 64, 128),
    ]  # fmt: skip


def test_package_of_a_source() -> None:
    assert package_of("backgrounds/mate/nature/Aqua.jpg") == "mate-backgrounds"
    assert package_of("backgrounds/warty-final-ubuntu.png") == "lomiri-wallpapers"
    assert package_of("elsewhere/a.png") == "unknown"


@pytest.mark.parametrize("change", [{"size": 8}, {"train": -1}, {"workers": 0}])
def test_settings_out_of_range_are_refused(root: Path, tmp_path: Path, change: dict[str, int]) -> None:
    settings = {"size": SIZE, "train": 1, "val": 1, "seed": 0, "workers": 1} | change
    with pytest.raises(DatasetError, match="size must be"):
        make_demo(root, tmp_path, **settings)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_root_without_pictures_is_refused(tmp_path: Path, split: Split) -> None:
    with pytest.raises(DatasetError, match="no usable foreground"):
        make_demo(tmp_path, tmp_path / split, size=SIZE, train=1, val=1, seed=0)
