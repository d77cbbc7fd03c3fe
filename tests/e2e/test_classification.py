"""Classification tasks on a real server: every form of request, beside painted tasks, installed and retired."""

import asyncio
import base64
import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.store.folder import Store
from artifacts.store.residual import load_residual, save_residual
from artifacts.taskres.features import FeatureCache
from cli.main import main as vtv
from engine.classification.head import Head, scores
from engine.towers.folder import load_tower
from tests.conftest import servers
from tests.support import ANSWERS, ServerProcess, image_file, make_artifact, make_residual, photo, wait_until
from vtv_client import AsyncClient, Classification, Client, InvalidRequest

CLASSES = {"animals": 3, "plants": 8, "tools": 5}
PICTURES = 24
KEY = "an admin's key"
ADMIN = {"Authorization": f"Bearer {KEY}"}
StartServer = Callable[..., ServerProcess]
Told = list[tuple[str, float]]


@dataclass(frozen=True)
class World:
    """A store of five painted and three classification tasks, pictures, and what `vtv taskres` says of them."""

    store: Path
    pictures: list[bytes]
    offline: dict[str, list[Told]]
    """By task: for each picture, all classes with their scores, best first."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path, tower_folder: Path) -> World:
    folder = tmp_path_factory.mktemp("classification")
    store = Store(folder / "store")
    shutil.copytree(tiny_store, store.root)
    files = []
    for seed in range(PICTURES):
        # Files of all shapes and formats, larger and smaller than the tower's square.
        width, height = 24 + 37 * (seed % 5), 30 + 23 * (seed % 7)
        files.append(folder / f"{seed}")
        files[-1].write_bytes(photo(width, height, seed, ("JPEG", "PNG", "WEBP")[seed % 3]))
    tower = load_tower(tower_folder)
    features = FeatureCache(tower, folder / "features").features(files, lambda line: None)
    offline: dict[str, list[Told]] = {}
    for seed, (task, classes) in enumerate(CLASSES.items()):
        # Random rows would say the same class of every picture.
        mixed = torch.randn(classes, PICTURES, generator=torch.Generator().manual_seed(seed))
        base = 50 * mixed @ (features - features.mean(0))
        make_residual(folder / task, task, tower.fingerprint, seed, classes=classes, base=base)
        head = store.publish_residual(folder / task, tower.fingerprint).value.head()
        offline[task] = [ranked(head, feature) for feature in features]
        assert len({told[0][0] for told in offline[task]}) > 1
    return World(store.root, [file.read_bytes() for file in files], offline)


def ranked(head: Head, feature: torch.Tensor) -> Told:
    found = scores(feature[None], head.matrix, head.scale)[0].tolist()
    return sorted(zip(head.labels, found, strict=True), key=lambda pair: -pair[1])


@pytest.fixture(scope="module")
def start(tiny_settings: dict[str, str], tower_folder: Path) -> Iterator[StartServer]:
    """Starts servers with the tiny model and the tiny tower."""
    with servers(**tiny_settings, tower=str(tower_folder), tower_buckets="1,2,4") as start:
        yield start


@pytest.fixture(scope="module")
def served(start: StartServer, world: World) -> ServerProcess:
    """One for every test that leaves it as it was."""
    return start(store=str(world.store))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def check(classes: list[dict[str, object]], told: Told, top_k: int = 5) -> None:
    """A reply's classes are what offline says: the same ones in the same order."""
    assert [entry["label"] for entry in classes] == [label for label, _ in told[:top_k]]
    np.testing.assert_allclose([entry["score"] for entry in classes], [score for _, score in told[:top_k]], atol=1e-4)


def test_served_accuracy_is_offline_accuracy_picture_for_picture(served: ServerProcess, world: World) -> None:
    for task in CLASSES:
        for picture, told in zip(world.pictures, world.offline[task], strict=True):
            reply = served.infer(task, picture, top_k="9")
            assert reply.headers["content-type"] == "application/json"
            check(reply.json()["outputs"][0]["classes"], told, 9)


def test_the_command_holds_a_server_against_the_file(
    served: ServerProcess, world: World, tower_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (picture, told) in enumerate(zip(world.pictures, world.offline["tools"], strict=True)):
        for folder in {f"train/tools {number % 5}", f"test/{told[0][0]}", f"test/tools {number % 5}"}:
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / folder / str(number)).write_bytes(picture)
    words = ["taskres", "evaluate", "--dataset", str(tmp_path / "data"), "--cache", str(tmp_path / "features")]
    words += ["--tower", str(tower_folder), "--server", served.url, "--json", "--task"]
    assert vtv([*words, str(residual_file(world.store, "tools"))]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["server"] == {"url": served.url, "value": entry["value"], "differing": 0}
    assert 0 < entry["value"] < 1
    value = load_residual(residual_file(world.store, "tools")).value
    other = replace(value, base=value.base.flip(0), residual=value.residual.flip(0))
    save_residual(tmp_path / "other", other, load_residual(residual_file(world.store, "tools")).metadata)
    assert vtv([*words, str(tmp_path / "other")]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["server"]["differing"] > 0
    assert "by the server, " in told.err


def test_every_form_answers_json(served: ServerProcess, world: World) -> None:
    client, pictures, told = served.client, world.pictures[:3], world.offline["plants"]
    files = [("image", picture) for picture in pictures]
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    replies = [
        client.post("/infer", params={"task": "plants"}, content=pictures[0], headers={"Content-Type": "image/jpeg"}),
        client.post("/infer", data={"task": "plants"}, files=files[:1], headers={"Accept": "image/*"}),
        client.post("/infer", data={"task": "plants"}, files=files),
        client.post("/infer", json={"task": "plants", "images": texts}),
    ]
    about = client.get("/tasks/plants").json()
    tower = tower_mark(served)
    for reply, images in zip(replies, (1, 1, 3, 3), strict=True):
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert (body["task"], body["artifact"], body["model"]) == ("plants", about["artifact"], tower)
        assert reply.headers["x-vtv-artifact"] == about["artifact"]
        assert reply.headers["server-timing"].startswith("queue;dur=")
        assert set(body["timing_ms"]) == {"queue", "decode", "compute", "encode"}
        assert len(body["outputs"]) == images
        for output, expected in zip(body["outputs"], told, strict=False):
            check(output["classes"], expected)


def tower_mark(served: ServerProcess) -> str:
    return str(json.loads((Path(served.settings["tower"]) / "tower.json").read_text())["fingerprint"])


def test_top_k_in_every_form(served: ServerProcess, world: World) -> None:
    picture, told = world.pictures[1], world.offline["tools"][1]
    text = base64.b64encode(picture).decode()
    for reply in (
        served.infer("tools", picture, top_k="2"),
        served.client.post("/infer", data={"task": "tools", "top_k": "2"}, files={"image": picture}),
        served.client.post("/infer", json={"task": "tools", "images": [text], "top_k": 2}),
    ):
        check(reply.json()["outputs"][0]["classes"], told, 2)
    assert sum(entry["score"] for entry in served.infer("tools", picture).json()["outputs"][0]["classes"]) == (
        pytest.approx(1, abs=1e-5)
    )


@pytest.mark.parametrize(
    ("task", "query", "named"),
    [
        *(("animals", {name: value}, name) for name, value in
          {"size": "native", "refine": "auto", "threshold": "none", "format": "png"}.items()),
        ("animals", {"top_k": "0"}, "top_k"),
        ("animals", {"topk": "3"}, "topk"),
        ("segmentation", {"top_k": "3"}, "top_k"),
    ],
)  # fmt: skip
def test_what_means_nothing_for_a_task_is_named(
    served: ServerProcess, task: str, query: dict[str, str], named: str
) -> None:
    reply = served.infer(task, photo(), **query)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert reply.json()["detail"].startswith(f"{named}: ")


def test_a_mask_is_refused_by_name(served: ServerProcess) -> None:
    files = {"image": photo(), "mask": image_file(np.zeros((48, 64, 3), np.uint8))}
    reply = served.client.post("/infer", data={"task": "animals"}, files=files)
    assert (reply.status_code, reply.json()["detail"]) == (400, "mask: this task answers with classes.")
    tensors = [{"name": n, "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": [0] * 12} for n in ("image", "mask")]
    reply = served.client.post("/v2/models/animals/infer", json={"inputs": tensors})
    assert (reply.status_code, reply.json()["error"]) == (400, "mask: this task answers with classes.")


def test_a_picture_that_is_none_is_refused(served: ServerProcess) -> None:
    for picture, code in ((b"GIF89a", 415), (b"no picture", 422), (photo()[:200], 422)):
        assert served.infer("animals", picture).status_code == code


def test_tasks_tell_their_kind(served: ServerProcess) -> None:
    kinds = {task["name"]: (task["kind"], task["classes"]) for task in served.client.get("/tasks").json()["tasks"]}
    assert kinds == dict.fromkeys(ANSWERS, ("painting", None)) | {
        name: ("classification", classes) for name, classes in CLASSES.items()
    }


def test_tensors(served: ServerProcess, world: World) -> None:
    about = served.client.get("/v2/models/animals").json()
    assert about["outputs"] == [
        {"name": "scores", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "labels", "datatype": "BYTES", "shape": [3]},
    ]
    pictures = [np.random.default_rng(k).integers(0, 256, (40, 50, 3), np.uint8) for k in range(2)]
    want = [served.infer("animals", image_file(picture)).json()["outputs"][0]["classes"] for picture in pictures]
    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 40, 50, 3]}
    body = {"inputs": [tensor | {"data": np.stack(pictures).ravel().tolist()}]}
    scored, labels = served.client.post("/v2/models/animals/infer", json=body).json()["outputs"]
    assert (scored["shape"], labels["data"]) == ([2, 3], ["animals 0", "animals 1", "animals 2"])
    for row, classes in zip(np.reshape(scored["data"], (2, 3)), want, strict=True):
        told = sorted(zip(labels["data"], row, strict=True), key=lambda pair: -pair[1])
        check(classes, told)
    raw = np.stack(pictures).tobytes()
    head = json.dumps(
        {
            "inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}],
            "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    reply = served.client.post("/v2/models/animals/infer", content=head + raw, headers=headers)
    size = int(reply.headers["inference-header-content-length"])
    found = np.frombuffer(reply.content[size:], "<f4")
    np.testing.assert_allclose(found, scored["data"], atol=1e-5)
    asked = {"inputs": [tensor | {"data": [0] * 12_000}], "outputs": [{"name": "answer"}]}
    reply = served.client.post("/v2/models/animals/infer", json=asked)
    assert (reply.status_code, reply.json()["error"]) == (400, "The outputs are named scores and labels.")


def test_the_client_classifies(served: ServerProcess, world: World) -> None:
    told = world.offline["tools"]
    with Client(served.url) as client:
        one = client.classify("tools", world.pictures[0])
        several = client.classify_many("tools", world.pictures[:3], top_k=2)
        with pytest.raises(InvalidRequest, match="top_k"):
            client.classify("tools", world.pictures[0], top_k=0)
        assert {task.name: task.kind for task in client.tasks()}["tools"] == "classification"

    async def asynchronously() -> list[Classification]:
        async with AsyncClient(served.url) as client:
            first = await client.classify("tools", world.pictures[0])
            return [first, *await client.classify_many("tools", world.pictures[:1])]

    found_all = [one, *several, *asyncio.run(asynchronously())]
    for found, expected in zip(found_all, (told[0], *told[:3], told[0], told[0]), strict=True):
        check([asdict(entry) for entry in found.classes], expected, len(found.classes))
        assert found.label == expected[0][0]
    assert [len(found.classes) for found in (one, *several)] == [5, 2, 2, 2]
    assert one.artifact == served.client.get("/tasks/tools").json()["artifact"]
    assert set(one.timing_ms) == {"queue", "decode", "compute", "encode"}


def test_the_command_tells_what_the_server_tells(
    world: World, tower_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "picture").write_bytes(world.pictures[2])
    asked = ["infer", str(tmp_path / "picture"), "--task", "plants", "--store", str(world.store), "--tower"]
    assert vtv([*asked, str(tower_folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["artifact"]) == ("plants", Store(world.store).hash_of("plants"))
    check(told["classes"], world.offline["plants"][2])
    assert vtv([*asked, str(tower_folder), "--top-k", "2"]) == 0
    shown = [line.rpartition("  ")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert shown == [label for label, _ in world.offline["plants"][2][:2]]
    for option in (["--size", "native"], ["-o", str(tmp_path / "a.png")], ["--threshold", "none"]):
        assert vtv([*asked, str(tower_folder), *option]) == 2
        assert "plants answers with classes" in capsys.readouterr().err
    assert vtv(["infer", str(tmp_path), *asked[2:], str(tower_folder)]) == 2
    assert "plants answers with classes: give one picture" in capsys.readouterr().err
    assert vtv(asked[:-1]) == 2  # the bundled tower is another
    assert "plants was made for image tower" in capsys.readouterr().err
    painted = [*asked[:3], "identity", *asked[4:6]]
    assert vtv([*painted, "--top-k", "3"]) == 2
    assert "--top-k: identity answers with a picture" in capsys.readouterr().err
    assert vtv(painted) == 2
    assert "needs -o/--output: identity answers with a picture" in capsys.readouterr().err


def test_mixed_traffic_of_three_classifications_and_five_paintings(served: ServerProcess, world: World) -> None:
    """Eight tasks at once, many times over: each answer is what the task gives alone."""
    asked = [(task, k % PICTURES) for k in range(10) for task in (*ANSWERS, *CLASSES)]
    alone = {(task, k): served.infer(task, world.pictures[k]).content for task, k in set(asked) if task in ANSWERS}
    with ThreadPoolExecutor(16) as crowd, httpx.Client(base_url=served.url, trust_env=False, timeout=120) as client:

        def ask(task: str, k: int) -> httpx.Response:
            headers = {"Content-Type": "image/jpeg"}
            return client.post("/infer", params={"task": task}, content=world.pictures[k], headers=headers)

        replies = list(crowd.map(lambda pair: ask(*pair), asked))
    for (task, k), reply in zip(asked, replies, strict=True):
        assert reply.status_code == 200, reply.text
        if task in CLASSES:
            check(reply.json()["outputs"][0]["classes"], world.offline[task][k])
        else:
            assert np.abs(pixels(reply.content) - pixels(alone[task, k])).mean() < 0.2
    assert served.metric("vtv_batch_tasks_sum") > served.metric("vtv_batch_tasks_count")
    for task in CLASSES:
        assert served.metric("vtv_requests_total", task=task, code="200") >= 10


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


def residual_file(store: Path, task: str) -> Path:
    return Store(store).path_of(Store(store).hash_of(task))


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
