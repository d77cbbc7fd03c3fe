"""The map from sentence vectors to class vectors: its fit, its held-out measure, its file."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from artifacts.errors import OfflineError
from artifacts.paths import BUNDLED_TOWERS
from artifacts.taskres.text_base import MappedTexts
from artifacts.taskres.text_map import FILE, RIDGE, TextMap, fit, found_share, load_text_map, save_text_map
from engine.towers.folder import read_fingerprint

GENERATOR = torch.Generator().manual_seed(2)
VECTORS = normalize(torch.randn(60, 16, generator=GENERATOR))


def centred(rows: torch.Tensor) -> torch.Tensor:
    return rows - rows.mean(0)


ROWS = centred(VECTORS @ torch.randn(16, 40, generator=GENERATOR) * 8)


def test_the_fit_minimises_the_ridge_loss() -> None:
    mean, weight = fit(VECTORS, ROWS)
    x = VECTORS - mean

    def loss(w: torch.Tensor) -> float:
        return float((x @ w - ROWS).square().sum() + RIDGE * w.square().sum())

    least = loss(weight)
    assert all(loss(weight + 0.01 * torch.randn(weight.shape, generator=GENERATOR)) > least for _ in range(20))


def test_texts_that_tell_are_found_and_others_are_not() -> None:
    assert found_share(VECTORS, ROWS) > 0.9
    assert found_share(torch.randn(60, 16, generator=GENERATOR), ROWS) < 0.3


def test_mapped_vectors_have_the_rows_norm() -> None:
    mean, weight = fit(VECTORS, ROWS)
    mapped = TextMap(ROWS, mean, weight, tuple(map(str, range(60))), 20.0, "t" * 64).mapped(VECTORS[:5] - mean)
    torch.testing.assert_close(mapped.norm(dim=1), ROWS.norm(dim=1).mean().expand(5))
    assert float(torch.cosine_similarity(mapped, ROWS[:5]).min()) > 0.8


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": ("a", "a")}, "class name 'a' is empty or occurs twice"),
        ({"labels": ("a",)}, "1 class names do not fit"),
        ({"tower": "0" * 64}, "is not of this tower"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    good = {"labels": ("a", "b"), "tower": "f" * 64}
    about = good | changes
    save_text_map(TextMap(torch.eye(2), torch.zeros(3), torch.ones(3, 2), scale=1.0, **about), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(OfflineError, match=says):
        load_text_map(tmp_path, "f" * 64)
    (tmp_path / FILE).write_bytes(b"none")
    with pytest.raises(OfflineError, match="is no text map"):
        load_text_map(tmp_path, "f" * 64)


def test_the_bundled_classifier_is_imagenets() -> None:
    folder = BUNDLED_TOWERS / "lite0"
    value = MappedTexts(load_text_map(folder, read_fingerprint(folder))).own_classes()
    assert value.base.shape == (1000, 1280)
    assert (value.labels[0], value.labels[657], value.labels[744]) == ("tench", "missile", "projectile")
    assert value.head().scale == 35.0
