"""What a newcomer gets: the server as it comes, with the bundled model and its task vectors."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.paths import BUNDLED_DEMO, BUNDLED_MODEL
from cli.main import main as vtv
from tests.support import ANSWERS, ServerProcess, image_file

pytestmark = pytest.mark.skipif(not BUNDLED_MODEL.is_dir(), reason="no model is bundled")


@pytest.fixture(scope="module", params=["eager", pytest.param("auto", marks=pytest.mark.slow)])
def bundled(request: pytest.FixtureRequest, engine_cache: Path) -> Iterator[ServerProcess]:
    """`auto`: with the backend that it takes here, compiled ahead."""
    backend: str = request.param
    if backend == "auto":
        assert vtv(["compile", "--device", "cpu", "--buckets", "1,2", "-o", str(engine_cache)]) == 0
    server = ServerProcess(device="cpu", backend=backend, buckets="1,2", cache=str(engine_cache))
    server.wait_ready()
    yield server
    server.stop()


def test_the_five_tasks_are_there_and_answer(bundled: ServerProcess) -> None:
    names = {task["name"] for task in bundled.client.get("/tasks").json()["tasks"]}
    assert names >= set(ANSWERS)
    sample = np.array(Image.open(io.BytesIO(bundled.client.get("/static/samples/rabbit.jpg").content)).convert("RGB"))
    sample[40:100, 40:100] = 0  # for the tasks that fill holes
    for name in names:
        reply = bundled.infer(name, image_file(sample), size="original")
        assert Image.open(io.BytesIO(reply.content)).size == (320, 320)


def test_a_mask_is_brighter_on_the_object_than_off_it(bundled: ServerProcess) -> None:
    names = (BUNDLED_DEMO / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[:8]
    contrast = []
    for name in names:
        photo = (BUNDLED_DEMO / "JPEGImages" / f"{name}.jpg").read_bytes()
        reply = bundled.infer("segmentation", photo, size="original")
        answer = np.asarray(Image.open(io.BytesIO(reply.content)).convert("L")).astype(float)
        truth = np.asarray(Image.open(BUNDLED_DEMO / "SegmentationClassAug" / f"{name}.png"))
        contrast.append(answer[(truth > 0) & (truth < 255)].mean() - answer[truth == 0].mean())
    assert np.mean(contrast) > 64
