"""Teaching from pictures in classes: what is held out, which base, what is published or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.console import keep_quiet
from artifacts.errors import DatasetError
from artifacts.store.folder import Store
from artifacts.taskres.features import FeatureCache
from artifacts.taskres.labelled import load_classes
from artifacts.taskres.teach import COMMONEST, NAMES_ALONE, PICTURES_ALONE, hold_out, teach_classes
from artifacts.taskres.text_map import TextMap, save_text_map
from cli.main import main as vtv
from engine.encoder import Encoder
from engine.towers.folder import load_tower, read_fingerprint
from tests.support import image_file

PLAIN = ["--precision", "float32"]
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def write_classes(root: Path, counts: dict[str, int]) -> Path:
    """Colours with noise, a folder each."""
    draw = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            noisy = np.array(COLOURS[name]) + draw.integers(-30, 31, (40, 40, 3))
            (root / name / f"{number}.png").write_bytes(image_file(noisy.clip(0, 255).astype(np.uint8)))
    return root


def test_a_third_of_each_class_is_held_out() -> None:
    labels = (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2)
    own, judges = hold_out(labels, 0)
    assert sorted(own + judges) == list(range(12))
    assert [[labels[row] for row in judges].count(label) for label in range(3)] == [2, 1, 1]
    assert hold_out(labels, 1) != (own, judges)


def test_classes_become_a_published_task(
    tower_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifacts.taskres.features.DEFAULT_CACHE", tmp_path / "cache")
    folder = write_classes(tmp_path / "colours", dict.fromkeys(COLOURS, 6))
    words = ["teach", "colours", "--examples", str(folder), "--tower", str(tower_folder), *PLAIN, "--store"]
    assert vtv([*words, str(tmp_path / "store"), "--json"]) == 0
    told = capsys.readouterr()
    entry = json.loads(told.out)
    assert "the base is of mean pictures, not of class names" in told.err
    assert entry["metric"]["value"] > 0.6  # of a tower with random weights
    assert entry["metric"]["the_commonest_class"] == pytest.approx(1 / 3, abs=1e-4)
    held = Store(tmp_path / "store").read_residual("colours", read_fingerprint(tower_folder))
    assert held.hash == entry["artifact"]
    assert held.value.labels == ("blue", "green", "red")
    assert held.metadata["dataset"] == "18 pictures"
    assert vtv([*words, str(tmp_path / "store"), "--steps", "3"]) == 2
    assert "--steps: " in capsys.readouterr().err


def test_the_base_is_of_class_names_where_the_tower_has_texts(tower_folder: Path, tmp_path: Path) -> None:
    tower, mark = load_tower(tower_folder), read_fingerprint(tower_folder)
    folder = tmp_path / "tower"
    folder.mkdir()
    for name in ("tower.json", "tower.safetensors"):
        (folder / name).write_bytes((tower_folder / name).read_bytes())
    rows = torch.randn(3, tower.width, generator=torch.Generator().manual_seed(0)).half().float()
    save_text_map(TextMap(rows, torch.zeros(384), torch.zeros(384, tower.width), tuple(COLOURS), 20.0, mark), folder)
    pictures = load_classes(write_classes(tmp_path / "colours", dict.fromkeys(COLOURS, 3)))
    taught = teach_classes(
        FeatureCache(Encoder(tower, "float32"), tmp_path / "features"), folder, "colours", pictures, keep_quiet
    )
    assert list(taught.floors) == [NAMES_ALONE, COMMONEST]
    assert torch.equal(taught.value.base, rows)
    assert taught.value.residual.any()


@pytest.mark.parametrize(
    ("counts", "says"),
    [({"red": 5}, "2 classes or more, not 1"), ({"red": 5, "blue": 1}, "class 'blue' needs 2 pictures or more")],
)
def test_too_little_is_refused_by_name(tower_folder: Path, tmp_path: Path, counts: dict[str, int], says: str) -> None:
    pictures = load_classes(write_classes(tmp_path / "colours", counts))
    cache = FeatureCache(Encoder(load_tower(tower_folder), "float32"), tmp_path)
    with pytest.raises(DatasetError, match=says):
        teach_classes(cache, tower_folder, "x", pictures, keep_quiet)


def test_what_is_no_better_than_guessing_is_not_published(
    tower_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pictures in both classes."""
    monkeypatch.setattr("artifacts.taskres.features.DEFAULT_CACHE", tmp_path / "cache")
    for name in ("one", "other"):
        write_classes(tmp_path / "made" / name, {"red": 4})
        (tmp_path / "made" / name / "red").rename(tmp_path / name)
    (tmp_path / "same").mkdir()
    for name in ("one", "other"):
        (tmp_path / name).rename(tmp_path / "same" / name)
    words = ["teach", "same", "--examples", str(tmp_path / "same"), "--tower", str(tower_folder), *PLAIN, "--store"]
    assert vtv([*words, str(tmp_path / "store")]) == 1
    assert "same is not published: accuracy" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()
    assert vtv([*words, str(tmp_path / "store"), "--force"]) == 0
    assert PICTURES_ALONE.replace(" ", "_") in Store(tmp_path / "store").read_residual("same").metadata["metric"]
