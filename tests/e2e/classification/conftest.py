"""A store of painted and classification tasks, pictures, and what `vtv taskres` says of them."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.store.folder import Store
from artifacts.taskres.features import FeatureCache
from engine.classification.head import Head, scores
from engine.encoder import Encoder
from engine.towers.folder import load_tower
from tests.conftest import servers
from tests.support import ServerProcess, make_residual, photo

CLASSES = {"animals": 3, "plants": 8, "tools": 5}
PICTURES = 24
KEY = "an admin's key"
ADMIN = {"Authorization": f"Bearer {KEY}"}
StartServer = Callable[..., ServerProcess]
Told = list[tuple[str, float]]


@dataclass(frozen=True)
class World:
    """A store of five painted and three classification tasks, pictures, and what `vtv taskres` says of them."""

    store: Path
    pictures: list[bytes]
    offline: dict[str, list[Told]]
    """By task: for each picture, all classes with their scores, best first."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path, tower_folder: Path) -> World:
    folder = tmp_path_factory.mktemp("classification")
    store = Store(folder / "store")
    shutil.copytree(tiny_store, store.root)
    files = []
    for seed in range(PICTURES):
        # Files of all shapes and formats, larger and smaller than the tower's square.
        width, height = 24 + 37 * (seed % 5), 30 + 23 * (seed % 7)
        files.append(folder / f"{seed}")
        files[-1].write_bytes(photo(width, height, seed, ("JPEG", "PNG", "WEBP")[seed % 3]))
    tower = load_tower(tower_folder)
    features = FeatureCache(Encoder(tower, "float32"), folder / "features").features(files, lambda line: None)
    offline: dict[str, list[Told]] = {}
    for seed, (task, classes) in enumerate(CLASSES.items()):
        # Random rows would say the same class of every picture.
        mixed = torch.randn(classes, PICTURES, generator=torch.Generator().manual_seed(seed))
        base = 50 * mixed @ (features - features.mean(0))
        make_residual(folder / task, task, tower.fingerprint, seed, classes=classes, base=base)
        head = store.publish_residual(folder / task, tower.fingerprint).value.head()
        offline[task] = [ranked(head, feature) for feature in features]
        assert len({told[0][0] for told in offline[task]}) > 1
    return World(store.root, [file.read_bytes() for file in files], offline)


def ranked(head: Head, feature: torch.Tensor) -> Told:
    found = scores(feature[None], head.matrix, head.scale)[0].tolist()
    return sorted(zip(head.labels, found, strict=True), key=lambda pair: -pair[1])


@pytest.fixture(scope="module")
def start(tiny_settings: dict[str, str], tower_folder: Path) -> Iterator[StartServer]:
    """Starts servers with the tiny model and the tiny tower."""
    with servers(**tiny_settings, tower=str(tower_folder), tower_buckets="1,2,4") as start:
        yield start


@pytest.fixture(scope="module")
def served(start: StartServer, world: World) -> ServerProcess:
    """One for every test that leaves it as it was."""
    return start(store=str(world.store))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def check(classes: list[dict[str, object]], told: Told, top_k: int = 5) -> None:
    """A reply's classes are what offline says: the same ones in the same order."""
    assert [entry["label"] for entry in classes] == [label for label, _ in told[:top_k]]
    np.testing.assert_allclose([entry["score"] for entry in classes], [score for _, score in told[:top_k]], atol=1e-4)


def tower_mark(served: ServerProcess) -> str:
    return str(json.loads((Path(served.settings["tower"]) / "tower.json").read_text())["fingerprint"])


def residual_file(store: Path, task: str) -> Path:
    return Store(store).path_of(Store(store).hash_of(task))
