"""A vector that is bad itself, on a real server: it is taken out of service alone, and no client can have it done.

No finite values make the tiny model paint one colour. So the server's engine is changed: one vector overflows in it, as
in arithmetic of half precision; and pictures that are white on their left are answered black by every vector, as by a
mask of nothing, and show the image tower nothing.
"""

import io
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.store.artifact import load_artifact, save_artifact
from artifacts.store.folder import Store
from engine.task_vector import PUBLISHED_ANSWER
from engine.towers.folder import load_tower
from tests.conftest import servers
from tests.support import SERVE, ServerProcess, image_file, make_artifact, make_residual, photo, wait_until

ADMIN = {"Authorization": "Bearer k"}
BAD, GOOD = "lowlight_enhance", ("colorization", "inpaint", "segmentation")
LARGE = 999.0
CHANGES = f"""
import signal
import numpy as np
from engine.classification.head import Head
from engine.runner import Done
from engine.runtime import Engine
write, submit = Engine.write_slot, Engine.submit
engines = []
def overflowing(self, slot, content):
    engines[:] = [self]
    write(self, slot, content)
    if not isinstance(content, Head) and float(content.encoder_value.max()) >= {LARGE}:
        for values in (self.bank.encoder_value, self.bank.decoder_value):
            values[:, slot] = float("nan")
def masks_of_nothing(self, program, pixels, slots=()):
    answers = submit(self, program, pixels, slots).result().copy()
    if program != "one_shot":
        halves = [bool((picture[-12:, :12] == 255).all()) for picture in pixels]
        answers[halves] = 0 if program == "zero_shot" else float("nan")
    return Done(answers)
def spoil(*_):
    engines[0].classifier.bank.matrix[1:] = float("nan")
Engine.write_slot, Engine.submit = overflowing, masks_of_nothing
signal.signal(signal.SIGUSR1, spoil)
"""
SERVER = [sys.executable, "-c", f"{CHANGES}\nfrom cli.main import main\nimport sys\nsys.exit(main(['serve']))"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path) -> Store:
    """That of `served`."""
    root = tmp_path_factory.mktemp("bad") / "store"
    shutil.copytree(tiny_store, root)
    return Store(root)


@pytest.fixture(scope="module")
def served(tiny_settings: dict[str, str], store: Store, tower_folder: Path) -> Iterator[ServerProcess]:
    settings = tiny_settings | {"store": str(store.root), "admin_key": "k", "tower": str(tower_folder)}
    with servers(SERVER, **settings) as start:
        yield start()


@pytest.fixture
def version(tiny_model: tuple[Path, str], tmp_path: Path) -> Callable[[int, bool], Path]:
    """A version of the task that is to be bad, or good."""

    def make(seed: int, bad: bool) -> Path:
        path = tmp_path / f"{seed}"
        make_artifact(path, BAD, tiny_model[1], seed)
        if bad:
            made = load_artifact(path)
            value, mask = made.vector.encoder_value.clone(), made.vector.encoder_mask
            value[mask] = LARGE
            save_artifact(path, replace(made.vector, encoder_value=value), made.metadata)
        return path

    return make


@pytest.fixture
def dead(tiny_model: tuple[Path, str], tmp_path: Path) -> Path:
    """A version of finite values that outweigh any picture: it paints one picture of many colours."""
    path = tmp_path / "dead"
    make_artifact(path, BAD, tiny_model[1], 90)
    made = load_artifact(path)
    parts = {name: getattr(made.vector, name) for name in ("encoder_value", "decoder_value")}
    values = {
        name: torch.randn(part.shape, generator=torch.Generator().manual_seed(0)) * 100 for name, part in parts.items()
    }
    masks = {name: torch.ones_like(getattr(made.vector, name)) for name in ("encoder_mask", "decoder_mask")}
    save_artifact(path, replace(made.vector, **values, **masks, answer=PUBLISHED_ANSWER), made.metadata)
    return path


def put(server: ServerProcess, path: Path) -> None:
    server.client.put(f"/tasks/{BAD}", content=path.read_bytes(), headers=ADMIN).raise_for_status()


def farthest(one: bytes, other: bytes) -> int:
    """The largest difference of two pictures."""
    first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data in (one, other))
    return int(np.abs(first - second).max())


def white_on_the_left() -> bytes:
    """A picture's file, black on its right."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32] = 255
    return image_file(picture)


def refused(reply: httpx.Response) -> bool:
    problem = reply.json()
    words = f"Task {BAD} is out of service: its version is faulty"
    return (reply.status_code, problem.get("code")) == (500, "internal") and words in problem["detail"]


def test_a_vector_that_is_bad_itself_is_taken_out_alone(
    served: ServerProcess, store: Store, version: Callable[[int, bool], Path]
) -> None:
    right = {task: served.infer(task, photo()).content for task in GOOD}
    put(served, version(70, True))
    tasks = (BAD, *GOOD) * 3
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda task: served.infer(task, photo()), tasks))
    told = [reply.status_code for reply in replies]
    assert told == [500 if task == BAD else 200 for task in tasks]
    for task, reply in zip(tasks, replies, strict=True):
        assert task == BAD or farthest(reply.content, right[task]) <= 1, "beside the bad one, in batches of any size"
    assert {task: served.infer(task, photo()).content for task in GOOD} == right
    assert refused(served.infer(BAD, photo()))
    assert refused(served.client.get(f"/v2/models/{BAD}/ready"))
    assert served.client.get(f"/v2/models/{GOOD[0]}/ready").status_code == 200
    assert served.client.get("/readyz").status_code == 200
    assert served.client.get(f"/tasks/{BAD}").status_code == 200
    assert (served.metric("vtv_tasks_faulty"), served.metric("vtv_engine_restarts_total")) == (1, 0)
    assert 1 <= served.metric("vtv_bad_answers_total") <= 3
    assert served.log.count("is out of service, as it paints the same") == 1

    put(served, version(71, False))
    assert served.infer(BAD, photo()).status_code == 200
    assert served.metric("vtv_tasks_faulty") == 0

    store.publish(version(72, True))
    wait_until(lambda: served.infer(BAD, photo()).status_code == 500, "a bad version from the store")
    assert refused(served.infer(BAD, photo()))
    store.publish(version(73, False))
    wait_until(lambda: served.infer(BAD, photo()).status_code == 200, "a good version from the store")
    assert {task: served.infer(task, photo()).content for task in GOOD} == right


def test_a_finite_vector_that_paints_one_picture_is_taken_out_alone(
    start_server: Callable[..., ServerProcess],
    tiny_settings: dict[str, str],
    store: Store,
    version: Callable[[int, bool], Path],
    dead: Path,
) -> None:
    server = start_server(SERVE, **tiny_settings | {"store": str(store.root), "admin_key": "k"})
    right = {task: server.infer(task, photo()).content for task in GOOD}
    put(server, dead)
    same = [server.infer(BAD, photo()) for _ in range(3)]
    assert [reply.status_code for reply in same] == [200] * 3, "one picture has one answer"
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(same[0].content))))) > 50, "no picture of one colour"
    assert server.infer(BAD, photo(seed=1)).status_code == 500
    assert refused(server.infer(BAD, photo()))
    assert server.metric("vtv_bad_answers_total") == 1
    assert server.log.count("is out of service, as it paints the same") == 1
    assert {task: server.infer(task, photo()).content for task in GOOD} == right
    put(server, version(91, False))
    for level in (0, 255, 0, 128, 255):
        assert server.infer(BAD, image_file(np.full((64, 64, 3), level, np.uint8))).status_code == 200
    assert (server.metric("vtv_bad_answers_total"), server.metric("vtv_tasks_faulty")) == (1, 0)


def test_no_picture_takes_a_good_task_out(served: ServerProcess) -> None:
    before = served.metric("vtv_bad_answers_total")
    for level in (0, 255, 0, 128, 255):
        assert served.infer("identity", image_file(np.full((64, 64, 3), level, np.uint8))).status_code == 200
    for _ in range(5):
        assert served.infer("identity", white_on_the_left()).status_code == 200
    assert served.infer("identity", photo()).status_code == 200
    assert served.metric("vtv_bad_answers_total") == before
    assert "identity: the engine" not in served.log


def test_a_head_whose_slot_goes_bad_is_written_again(served: ServerProcess, tower_folder: Path, tmp_path: Path) -> None:
    make_residual(tmp_path / "animals", "animals", load_tower(tower_folder).fingerprint, 5)
    content = (tmp_path / "animals").read_bytes()
    served.client.put("/tasks/animals", content=content, headers=ADMIN).raise_for_status()
    before = served.infer("animals", photo()).json()["outputs"]
    featureless = served.infer("animals", white_on_the_left())
    assert (featureless.status_code, featureless.json()["code"]) == (422, "invalid_image"), "the picture's own fault"
    counted, faulty = served.metric("vtv_bad_answers_total"), served.metric("vtv_tasks_faulty")
    served.process.send_signal(signal.SIGUSR1)
    replies = [served.infer("animals", photo()) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [500, 200, 200]
    assert replies[-1].json()["outputs"] == before
    assert served.metric("vtv_bad_answers_total") == counted + 1
    assert served.metric("vtv_tasks_faulty") == faulty
