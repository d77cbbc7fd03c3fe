"""What a newcomer gets: the server as it comes, with the bundled model and its task vectors."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.paths import BUNDLED_DEMO, BUNDLED_MODEL
from cli.main import main as vtv
from tests.support import ANSWERS, SERVE, ServerProcess, image_file

pytestmark = pytest.mark.skipif(not BUNDLED_MODEL.is_dir(), reason="no model is bundled")


@pytest.fixture(scope="module", params=["eager", pytest.param("auto", marks=pytest.mark.slow)])
def bundled(request: pytest.FixtureRequest, engine_cache: Path) -> Iterator[ServerProcess]:
    """`auto`: with the backend that it takes here, compiled ahead."""
    backend: str = request.param
    if backend == "auto":
        assert vtv(["compile", "--device", "cpu", "--buckets", "1,2", "-o", str(engine_cache)]) == 0
    server = ServerProcess(SERVE, device="cpu", backend=backend, buckets="1,2", cache=str(engine_cache))
    server.wait_ready()
    yield server
    server.stop()


def test_the_five_painted_tasks_are_there_and_answer(bundled: ServerProcess) -> None:
    kinds = {task["name"]: task["kind"] for task in bundled.client.get("/tasks").json()["tasks"]}
    names = {name for name, kind in kinds.items() if kind == "painting"}
    assert names == set(ANSWERS)
    sample = np.array(Image.open(io.BytesIO(bundled.client.get("/static/samples/cat.jpg").content)).convert("RGB"))
    sample[40:100, 40:100] = 0  # for the tasks that fill holes
    for name in names:
        reply = bundled.infer(name, image_file(sample), size="original")
        assert Image.open(io.BytesIO(reply.content)).size == (451, 300)


@pytest.mark.parametrize(("task", "label"), [("imagenet", "tailed frog"), ("cifar10", "frog")])
def test_the_classification_tasks_are_there_and_tell_what_the_command_tells(
    bundled: ServerProcess, task: str, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = BUNDLED_DEMO / "JPEGImages" / "train_000027.jpg"
    assert vtv(["infer", str(picture), "--task", task, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["classes"]
    served = bundled.infer(task, picture.read_bytes()).json()["outputs"][0]["classes"]
    assert [entry["label"] for entry in served] == [entry["label"] for entry in told]
    assert served[0] == {"label": label, "score": pytest.approx(told[0]["score"], abs=1e-3)}


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
