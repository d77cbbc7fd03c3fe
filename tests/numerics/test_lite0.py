"""The bundled tower against EfficientNet-Lite0's reference code (tests/data/lite0)."""

from pathlib import Path

import numpy as np
import torch

from artifacts.paths import BUNDLED_DEMO, BUNDLED_TOWERS
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import middle_square
from engine.towers.folder import load_tower

GOLDEN = Path(__file__).parents[1] / "data" / "lite0" / "features.npz"


def test_features_are_the_reference_codes() -> None:
    """Up to the half precision in which the weights are stored."""
    golden = torch.from_numpy(np.load(GOLDEN)["features"])
    tower = load_tower(BUNDLED_TOWERS / "lite0")
    files = sorted((BUNDLED_DEMO / "JPEGImages").iterdir())[: len(golden)]
    squares = np.stack([middle_square(read_file(file), tower.size, tower.shorter_edge) for file in files])
    features = tower(torch.from_numpy(squares))
    assert float(torch.cosine_similarity(features, golden).min()) > 0.9999
    assert float((features - golden).abs().mean()) < 0.005
    torch.testing.assert_close(features, golden, rtol=0, atol=0.1)
