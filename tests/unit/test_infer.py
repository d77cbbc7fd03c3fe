"""One answer without a server: holes by mask or found, masks in black and white, and what a task has no use for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.errors import OfflineError
from artifacts.infer.one import infer_file
from artifacts.infer.steps import Wanted


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(50, 220, (90, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photograph.png")
    return tmp_path / "photograph.png"


def answered(model: tuple[Path, str], store: Path, image: Path, task: str, wanted: Wanted) -> np.ndarray:
    infer_file(model[0], store, image, task, image.with_name("answer.png"), wanted)
    return np.asarray(Image.open(image.with_name("answer.png")))


def disc(image: Path) -> np.ndarray:
    """Bool [90,160] of something round, and its mask's file beside the image."""
    rows, columns = np.mgrid[:90, :160]
    inside = (rows - 40) ** 2 + (columns - 100) ** 2 < 400
    Image.fromarray(inside.astype(np.uint8) * 255).save(image.with_name("mask.png"))
    return inside


def test_a_mask_says_where_to_paint(tiny_model: tuple[Path, str], tiny_store: Path, photograph: Path) -> None:
    inside, before = disc(photograph), np.asarray(Image.open(photograph))
    wanted = Wanted("original", mask=photograph.with_name("mask.png"))
    after = answered(tiny_model, tiny_store, photograph, "inpaint", wanted)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).mean() > 0.5


def test_a_black_region_is_found_and_filled_at_either_size(
    tiny_model: tuple[Path, str], tiny_store: Path, photograph: Path
) -> None:
    inside = disc(photograph)
    Image.fromarray(np.asarray(Image.open(photograph)) * ~inside[..., None]).save(photograph)
    whole = answered(tiny_model, tiny_store, photograph, "inpaint", Wanted("original"))
    small = answered(tiny_model, tiny_store, photograph, "inpaint", Wanted())
    assert (whole.shape, small.shape) == ((90, 160, 3), (112, 112, 3))
    assert whole[inside].max(-1).min() > 0
    assert small.max(-1).min() > 20


@pytest.mark.parametrize(
    ("task", "wanted", "says"),
    [
        ("inpaint", Wanted(), "mask"),
        ("identity", Wanted(mask=Path("mask.png")), "takes no mask"),
        ("identity", Wanted(threshold="auto"), "no threshold"),
    ],
)
def test_what_cannot_be_done_is_said(
    tiny_model: tuple[Path, str], tiny_store: Path, photograph: Path, task: str, wanted: Wanted, says: str
) -> None:
    with pytest.raises(OfflineError, match=says):
        answered(tiny_model, tiny_store, photograph, task, wanted)


@pytest.mark.parametrize("size", ["native", "original"])
def test_a_threshold_gives_black_and_white(
    tiny_model: tuple[Path, str], tiny_store: Path, photograph: Path, size: str
) -> None:
    soft = answered(tiny_model, tiny_store, photograph, "segmentation", Wanted(size))
    hard = answered(tiny_model, tiny_store, photograph, "segmentation", Wanted(size, threshold="auto"))
    assert len(np.unique(soft)) > 2
    assert np.unique(hard).tolist() == [0, 255]
    white = hard[..., 0] > 0
    assert soft[white].mean() > soft[~white].mean()
