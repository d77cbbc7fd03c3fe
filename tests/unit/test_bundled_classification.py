"""The bundled classification tasks fit the bundled tower, and what they say of themselves is so."""

import json

import torch

from artifacts.paths import BUNDLED_STORE, BUNDLED_TOWERS
from artifacts.store.folder import Store
from engine.towers.folder import read_fingerprint

TOWER = read_fingerprint(BUNDLED_TOWERS / "lite0")


def test_imagenets_names_have_no_residual() -> None:
    artifact = Store(BUNDLED_STORE).read_residual("imagenet", TOWER)
    assert len(artifact.value.labels) == 1000
    assert not bool(artifact.value.residual.any())
    assert artifact.value.head().matrix.shape == (1000, 1280)


def test_the_taught_task_turned_its_base() -> None:
    artifact = Store(BUNDLED_STORE).read_residual("cifar10", TOWER)
    value = artifact.value
    assert {"airplane", "frog", "truck"} < set(value.labels)
    before = torch.nn.functional.normalize(value.base)
    assert float((before * value.head().matrix).sum(1).max()) < 0.99
    assert json.loads(artifact.metadata["metric"])["value"] > 0.6
