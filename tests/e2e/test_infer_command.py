"""`vtv infer` answers what the server answers, whatever the picture is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from artifacts.infer.one import infer_file
from artifacts.infer.steps import Wanted
from tests.picture_files import chunk, png, save
from tests.support import ServerProcess

PICTURE = np.random.default_rng(5).integers(0, 256, (9, 12, 3), np.uint8).repeat(40, 0).repeat(40, 1)


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(Image.fromarray(PICTURE), "JPEG", quality=90, exif=exif)


def alpha_png() -> bytes:
    layer = Image.fromarray(PICTURE)
    layer.putalpha(Image.linear_gradient("L").resize(layer.size))
    return save(layer, "PNG")


def profiled_jpeg() -> bytes:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return save(Image.fromarray(PICTURE), "JPEG", icc_profile=lab, exif=b"Exif\0\0damaged")


KINDS: dict[str, Callable[[], bytes]] = {
    "turned JPEG": turned_jpeg,
    "CMYK JPEG": lambda: save(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
    "JPEG with metadata to be ignored": profiled_jpeg,
    "PNG with alpha": alpha_png,
    "16-bit gray PNG": lambda: png(PICTURE[..., :1].astype(np.uint16) * 257, 16, 0),
    "gray PNG with a transparent level": lambda: png(PICTURE[..., :1] >> 4, 4, 0, chunk(b"tRNS", b"\0\x07")),
    "palette": lambda: save(Image.fromarray(PICTURE).quantize(16), "PNG", transparency=3),
    "WebP": lambda: save(Image.fromarray(PICTURE), "WEBP"),
}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One that nobody else asks: in a batch with another picture the last bits may differ, and with them a level."""
    return start_server()


@pytest.mark.parametrize("size", [pytest.param("native", marks=pytest.mark.slow), "original"])
@pytest.mark.parametrize("kind", KINDS)
def test_as_the_server_answers(
    server: ServerProcess, tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, kind: str, size: str
) -> None:
    picture, answer = tmp_path / "picture", tmp_path / "answer.png"
    picture.write_bytes(KINDS[kind]())
    for task in ("colorization", "identity"):
        infer_file(tiny_model[0], tiny_store, picture, task, answer, Wanted(size))
        assert answer.read_bytes() == server.infer(task, picture.read_bytes(), size=size).content
