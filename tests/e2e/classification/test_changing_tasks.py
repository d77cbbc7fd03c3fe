"""Classification tasks come, change and go on a real server; hostile ones do not come."""

import json
import shutil
import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest

from artifacts.store.folder import Store
from tests.e2e.classification.conftest import (
    ADMIN,
    CLASSES,
    KEY,
    StartServer,
    World,
    check,
    pixels,
    residual_file,
    tower_mark,
)
from tests.support import ANSWERS, ServerProcess, make_artifact, make_residual, photo, wait_until


@dataclass(frozen=True)
class Changeable:
    """A server with one slot, started without a classification task, and the store that it watches."""

    server: ServerProcess
    store: Store
    log_at_start: str

    def put(self, task: str, content: bytes) -> httpx.Response:
        return self.server.client.put(f"/tasks/{task}", content=content, headers=ADMIN)

    def classes(self, task: str, picture: bytes) -> list[dict[str, object]]:
        reply = self.server.infer(task, picture)
        assert reply.status_code == 200, reply.text
        classes: list[dict[str, object]] = reply.json()["outputs"][0]["classes"]
        return classes


@pytest.fixture(scope="module")
def changeable(start: StartServer, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Changeable:
    root = tmp_path_factory.mktemp("changeable") / "store"
    shutil.copytree(tiny_store, root)
    server = start(store=str(root), admin_key=KEY, slots="2", max_classes="8")
    return Changeable(server, Store(root), server.log)


def test_the_tower_is_loaded_for_the_first_classification_and_once(changeable: Changeable, world: World) -> None:
    """Then tasks are published, replaced, evicted and retired as painted ones are."""
    server, picture = changeable.server, world.pictures[0]
    assert "image tower" not in changeable.log_at_start
    content = blob_of(world.store, "animals")
    reply = changeable.put("animals", content)
    assert (reply.status_code in (200, 201), reply.json()["kind"]) == (True, "classification")
    told = world.offline["animals"][0]
    check(changeable.classes("animals", picture), told)
    evictions = server.metric("vtv_bank_evictions_total")
    painted = server.infer("colorization", picture).content  # the only slot changes hands
    check(changeable.classes("animals", picture), told)
    assert np.abs(pixels(server.infer("colorization", picture).content) - pixels(painted)).mean() < 0.2
    assert server.metric("vtv_bank_evictions_total") == evictions + 3
    changeable.store.publish_residual(residual_file(world.store, "tools"))
    wait_until(lambda: server.client.get("/tasks/tools").status_code == 200, "the watched publication")
    check(changeable.classes("tools", picture), world.offline["tools"][0])
    assert changeable.put("animals", content).status_code == 200
    assert server.client.delete("/tasks/animals", headers=ADMIN).status_code == 204
    assert server.infer("animals", picture).status_code == 404
    assert server.log.count("loading the image tower") == 1


def blob_of(store: Path, task: str) -> bytes:
    return residual_file(store, task).read_bytes()


def test_a_name_may_change_its_kind(changeable: Changeable, tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    make_residual(tmp_path / "made", "identity", tower_mark(changeable.server), 1, classes=2)
    assert changeable.put("identity", (tmp_path / "made").read_bytes()).status_code == 200
    assert len(changeable.classes("identity", photo())) == 2
    make_artifact(tmp_path / "painted", "identity", tiny_model[1], 1)
    assert changeable.put("identity", (tmp_path / "painted").read_bytes()).status_code == 200
    assert changeable.server.infer("identity", photo()).headers["content-type"] == "image/png"


def hostile(good: bytes) -> dict[str, bytes]:
    """Files that say they are the classification task `animals`, by what is wrong with them."""
    size = struct.unpack("<Q", good[:8])[0]
    head, tensors = json.loads(good[8 : 8 + size]), good[8 + size :]
    rows = head["base"]["data_offsets"]
    base = np.frombuffer(tensors[slice(*rows)], "<f4").reshape(head["base"]["shape"])

    def built(values: np.ndarray = base, **about: str) -> bytes:
        text = json.dumps(head | {"__metadata__": head["__metadata__"] | about}).encode()
        body = tensors[: rows[0]] + values.astype("<f4").tobytes() + tensors[rows[1] :]
        return struct.pack("<Q", len(text)) + text + body

    labels = json.loads(head["__metadata__"]["labels"])
    nan, zero = base.copy(), base.copy()
    nan[1, 3] = np.nan
    residual = np.frombuffer(tensors[slice(*head["residual"]["data_offsets"])], "<f4").reshape(base.shape)
    zero[1] = -0.5 * residual[1]  # alpha is 0.5: base and residual together are nothing
    return {
        "two classes more than rows": built(labels=json.dumps([*labels, "x", "y"])),
        "a name twice": built(labels=json.dumps([labels[0], labels[0], labels[2]])),
        "no names": built(labels="[]"),
        "not a number": built(nan),
        "a zero row": built(zero),
        "an endless scale": built(scale="inf"),
        "a negative scale": built(scale="-1"),
        "no scale": built(scale="warm"),
        "another schema": built(schema="vtv-task-residual-9"),
        "cut short": good[: len(good) // 2],
        "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    }


@pytest.mark.slow
def test_hostile_artifacts_are_refused_and_disturb_nothing(
    changeable: Changeable, world: World, tmp_path: Path
) -> None:
    server, store, good = changeable.server, changeable.store, blob_of(world.store, "animals")
    changeable.put("animals", good).raise_for_status()
    before, told = server.client.get("/tasks").json(), world.offline["animals"][0]
    mark, bad = tower_mark(server), hostile(good)
    for what, content in bad.items():
        reply = changeable.put("animals", content)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request"), what
    for tower, width, classes, words in (
        ("f" * 64, 1280, 3, "another image tower"),
        (mark, 1279, 3, "not as long as the image tower's features"),
        (mark, 1280, 9, "more classes than this server takes"),
    ):
        make_residual(tmp_path / "made", "animals", tower, 1, width=width, classes=classes)
        bad[words] = (tmp_path / "made").read_bytes()
        reply = changeable.put("animals", bad[words])
        assert (reply.status_code, words in reply.json()["detail"]) == (400, True)
    make_residual(tmp_path / "made", "plants", mark, 1)
    assert "another task" in changeable.put("animals", (tmp_path / "made").read_bytes()).json()["detail"]
    refused, refusal = server.metric("vtv_artifacts_refused_total"), "keeps its old artifact, the new one is refused"
    for number, (what, content) in enumerate(bad.items(), start=1):
        digest = sha256(content).hexdigest()
        (store.blobs / f"{digest}.safetensors").write_bytes(content)
        (store.tasks / "animals").write_text(digest)
        wait_until(lambda n=number: server.log.count(refusal) == n, what)  # type: ignore[misc]
    assert server.metric("vtv_artifacts_refused_total") == refused + len(bad)
    assert "does not have its hash" not in server.log
    assert server.client.get("/tasks").json() == before
    check(changeable.classes("animals", world.pictures[0]), told)


@pytest.mark.slow
def test_a_server_without_a_tower_serves_the_rest(start: StartServer, world: World, tmp_path: Path) -> None:
    shutil.copytree(world.store, tmp_path / "store")
    server = start(store=str(tmp_path / "store"), tower="none", admin_key=KEY)
    assert [task["name"] for task in server.client.get("/tasks").json()["tasks"]] == list(ANSWERS)
    for task in CLASSES:
        assert f"task {task} is left out: it is a classification task, and there is no image tower" in server.log
    reply = server.client.put("/tasks/animals", content=blob_of(world.store, "animals"), headers=ADMIN)
    assert (reply.status_code, "no image tower" in reply.json()["detail"]) == (400, True)
    assert server.infer("identity", photo()).status_code == 200
    assert server.metric("vtv_artifacts_refused_total") == len(CLASSES)
