"""What a newcomer gets: the server as it comes, with the bundled model and its task vectors."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.paths import BUNDLED_DEMO, BUNDLED_MODEL, BUNDLED_STORE, BUNDLED_TOWERS
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import middle_square
from artifacts.store.folder import Store
from cli.main import main as vtv
from engine.classification import Precision
from engine.classification.head import scores
from engine.encoder import Encoder
from engine.towers.folder import load_tower
from tests.support import ANSWERS, SERVE, ServerProcess, image_file

ROUNDING = 1e-4
"""Of scores: products of a batch and of one row may be summed up in another order."""
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
    assert vtv(["infer", str(picture), "--task", task, "--json", "--precision", precision_of(bundled)]) == 0
    told = json.loads(capsys.readouterr().out)["classes"]
    served = bundled.infer(task, picture.read_bytes()).json()["outputs"][0]["classes"]
    assert [entry["label"] for entry in served] == [entry["label"] for entry in told]
    assert served[0] == {"label": label, "score": pytest.approx(told[0]["score"], abs=ROUNDING)}


@pytest.mark.parametrize("task", ["imagenet", "cifar10"])
def test_every_picture_is_told_what_it_is_told_offline(bundled: ServerProcess, task: str, engine_cache: Path) -> None:
    """In what each side computes in by default, the server in batches."""
    files = sorted((BUNDLED_DEMO / "JPEGImages").iterdir())[::26]
    tower = load_tower(BUNDLED_TOWERS / "lite0")
    read = [read_file(file, tower.shorter_edge) for file in files]
    squares = np.stack([middle_square(pixels, tower.size, tower.shorter_edge) for pixels in read])
    head = Store(BUNDLED_STORE).read_residual(task).value.head()
    features = Encoder(tower, precision_of(bundled), engine_cache).features(squares)
    offline = scores(features, head.matrix, head.scale)
    with ThreadPoolExecutor(4) as crowd:
        replies = crowd.map(lambda file: bundled.infer(task, file.read_bytes(), top_k="2").json(), files)
        served = [reply["outputs"][0]["classes"] for reply in replies]
    for told, row in zip(served, offline, strict=True):
        likeliest = row.topk(2)
        assert [entry["label"] for entry in told] == [head.labels[place] for place in likeliest.indices]
        np.testing.assert_allclose([entry["score"] for entry in told], likeliest.values, atol=ROUNDING)


def precision_of(server: ServerProcess) -> Precision:
    """What a server computes features in where the processor allows: the command's default but for other backends."""
    return "bfloat16" if server.settings["backend"] == "auto" else "float32"


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
