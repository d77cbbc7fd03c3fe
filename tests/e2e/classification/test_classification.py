"""Classification tasks on a real server: every form of request, beside painted tasks."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from artifacts.store.folder import Store
from artifacts.store.residual import load_residual, save_residual
from cli.main import main as vtv
from tests.e2e.classification.conftest import (
    CLASSES,
    PICTURES,
    World,
    check,
    pixels,
    residual_file,
    tower_mark,
)
from tests.support import ANSWERS, ServerProcess, image_file, photo
from vtv_client import AsyncClient, Classification, Client, InvalidRequest


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
    words += ["--tower", str(tower_folder), "--server", served.url, "--json"]
    words += ["--precision", "float32", "--task"]  # what the backend of the tests computes in
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
    asked = ["infer", str(tmp_path / "picture"), "--task", "plants", "--store", str(world.store)]
    asked += ["--precision", "float32", "--tower"]
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
