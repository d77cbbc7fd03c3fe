"""Features on disk: computed once, found by content, never half written; crops that are the same in every run."""

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.console import keep_quiet
from artifacts.errors import OfflineError
from artifacts.pictures.limits import COMMANDS_LIMITS
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import middle_square
from artifacts.taskres.crops import middle, random_crop
from artifacts.taskres.features import FeatureCache
from artifacts.taskres.labelled import load_labelled
from artifacts.taskres.labelled_features import FeatureSource
from engine.encoder import Encoder
from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from engine.towers.folder import load_tower
from engine.towers.tower import Tower
from service.codec.codec import Codec
from service.codec.spec import ImageSpec, Square
from tests.support import photo
from tests.unit.taskres_data import make_class_folders, make_tower_folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("tower")
    make_tower_folder(folder)
    return Encoder(load_tower(folder), "float32")


@pytest.fixture
def tower(encoder: Encoder) -> Tower:
    return encoder.tower


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return sorted(make_class_folders(tmp_path / "data").rglob("*.png"))


def test_features_are_the_towers(encoder: Encoder, tower: Tower, files: list[Path], tmp_path: Path) -> None:
    found = FeatureCache(encoder, tmp_path / "cache").features(files, keep_quiet)
    square = torch.from_numpy(middle_square(read_file(files[7]), tower.size, tower.shorter_edge))
    torch.testing.assert_close(found[7], tower(square[None])[0], rtol=1e-4, atol=1e-5)


def test_a_large_photograph_is_read_scaled_down_as_it_is_served(encoder: Encoder, tower: Tower, tmp_path: Path) -> None:
    """But not for random crops, which may be of a small part."""
    file = tmp_path / "large.jpg"
    file.write_bytes(photo(400, 300))
    small = read_file(file, tower.shorter_edge)
    assert small.shape == (75, 100, 3)
    square = Square(tower.size, tower.shorter_edge)
    spec = ImageSpec(file.read_bytes(), None, None, "native", "png", True, AnswerSettings(), square)
    served = Codec(Geometry(), COMMANDS_LIMITS).decode(spec).pixels
    assert np.array_equal(served, middle_square(small, *square))
    content = sha256(file.read_bytes()).hexdigest()
    for crop, wanted in (middle, served), (random_crop(0), random_crop(0).square(read_file(file), tower, content)):
        found = FeatureCache(encoder, tmp_path / "cache").features([file], keep_quiet, crop)
        assert torch.equal(found, encoder.features(wanted[None]))


def test_what_is_known_is_not_computed_again(encoder: Encoder, files: list[Path], tmp_path: Path) -> None:
    """Nor for the same picture under another name; a run that was cut short goes on."""
    cache = FeatureCache(encoder, tmp_path / "cache")
    first = cache.features(files[:5], keep_quiet)
    told: list[str] = []
    cache.features(files, told.append)
    assert told[-1].startswith(f"features: step {len(files) - 5}/{len(files) - 5}")
    shutil.copy(files[0], tmp_path / "other.png")
    told.clear()
    assert torch.equal(cache.features([tmp_path / "other.png", *files[1:5]], told.append), first)
    assert told == []


def test_another_tower_and_another_crop_have_their_own(encoder: Encoder, files: list[Path], tmp_path: Path) -> None:
    cache = FeatureCache(encoder, tmp_path)
    seen = [cache.features(files[:1], keep_quiet, crop) for crop in (middle, random_crop(0), random_crop(1))]
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert len(list(tmp_path.rglob("*.npy"))) == 3


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b"cut"), lambda path: np.save(path, np.zeros(3, np.float32))]
)
def test_a_damaged_entry_is_named(
    encoder: Encoder, files: list[Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache = FeatureCache(encoder, tmp_path)
    cache.features(files[:1], keep_quiet)
    damage(next(tmp_path.rglob("*.npy")))
    with pytest.raises(OfflineError, match=r"is damaged.*: delete it"):
        cache.features(files[:1], keep_quiet)


def test_what_is_no_picture_is_named(encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(OfflineError, match=r"a\.png is not a picture"):
        FeatureCache(encoder, tmp_path).features([tmp_path / "a.png"], keep_quiet)
    with pytest.raises(OfflineError, match=r"b\.png cannot be read"):
        FeatureCache(encoder, tmp_path).features([tmp_path / "b.png"], keep_quiet)


def test_random_crops_are_parts_of_the_picture(tower: Tower) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    squares = [random_crop(number).square(pixels, tower, "content") for number in range(40)]
    assert {square.shape for square in squares} == {(32, 32, 3)}
    assert len({square.tobytes() for square in squares}) == 40
    assert np.array_equal(squares[3], random_crop(3).square(pixels, tower, "content"))
    assert not np.array_equal(squares[3], random_crop(3).square(pixels, tower, "other"))
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8)[None, :, None] * 2, (60, 90, 3))
    rising = [random_crop(n).square(ramp, tower, "x")[0, :, 0].astype(int) for n in range(40)]
    mirrored = sum(row[0] > row[-1] for row in rising)
    assert 8 < mirrored < 32
    assert min(abs(row[0] - row[-1]) for row in rising) < 60 < max(abs(row[0] - row[-1]) for row in rising)


def test_a_strip_too_narrow_for_any_crop_gives_its_middle(tower: Tower) -> None:
    strip = np.zeros((1, 400, 3), np.uint8)
    strip[:, 199:201] = 255
    assert (random_crop(0).square(strip, tower, "x") == 255).all()


def test_draws_have_views_and_validation_pictures(encoder: Encoder, tmp_path: Path) -> None:
    splits = load_labelled(make_class_folders(tmp_path / "data"))
    cache = FeatureCache(encoder, tmp_path / "cache")
    shots = FeatureSource(cache, splits, keep_quiet, views=2).draw(2, seed=1)
    assert [own.features.shape for own in shots.passes] == [(6, 1280)] * 2
    assert not torch.equal(shots.passes[0].features, shots.passes[1].features)
    assert shots.train.labels.tolist() == [0, 0, 1, 1, 2, 2] * 2
    assert shots.validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
    plain = FeatureSource(cache, splits, keep_quiet).draw(2, seed=1)
    assert len(plain.passes) == 1
    assert torch.equal(plain.validation.features, shots.validation.features)
