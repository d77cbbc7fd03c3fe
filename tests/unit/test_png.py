"""Our PNG files, read by others' libraries."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from artifacts.pictures import write_png as writer
from artifacts.pictures.write_png import write_png


@pytest.fixture(params=["with fpng", "without"], autouse=True)
def _fpng(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(writer, "fpng", None)
    else:
        pytest.importorskip("fpng", reason="the extra fast-png is not installed")


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (112, 112), (333, 512), (256, 256), (256, 257)])
def test_what_is_written_is_what_others_read(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    file = write_png(pixels)
    with Image.open(io.BytesIO(file)) as image:
        image.verify()  # every chunk's checksum
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), pixels)
    other = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert other is not None
    assert np.array_equal(cv2.cvtColor(other, cv2.COLOR_BGR2RGB), pixels)


def test_a_view_is_written_as_it_looks() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)[::2, ::-1]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(write_png(pixels)))), pixels)


def test_flat_pictures_become_small() -> None:
    assert len(write_png(np.full((512, 512, 3), 255, np.uint8))) < 8_000
