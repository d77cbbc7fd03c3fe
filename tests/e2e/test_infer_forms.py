"""Every form of POST /infer, over a real socket."""

import base64
import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support import ANSWERS, ServerProcess, photo


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def multipart(server: ServerProcess, images: list[bytes], accept: str = "*/*", **fields: str) -> httpx.Response:
    files = [("image", (f"{i}.jpg", data, "image/jpeg")) for i, data in enumerate(images)]
    return server.client.post("/infer", data=fields, files=files, headers={"Accept": accept})


def as_json(server: ServerProcess, images: list[bytes], **fields: str) -> httpx.Response:
    encoded = [base64.b64encode(data).decode() for data in images]
    return server.client.post("/infer", json={"images": encoded, **fields})


def outputs(reply: httpx.Response) -> list[bytes]:
    assert reply.status_code == 200, reply.text
    return [base64.b64decode(output["image"]) for output in reply.json()["outputs"]]


def test_the_three_zero_shot_forms_agree(server: ServerProcess) -> None:
    image = photo(seed=1)
    raw = server.infer("segmentation", image)
    form = multipart(server, [image], task="segmentation")
    assert raw.headers["content-type"] == form.headers["content-type"] == "image/png"
    assert raw.content == form.content == outputs(as_json(server, [image], task="segmentation"))[0]
    assert pixels(raw.content).shape == (112, 112, 3)


@pytest.mark.slow
def test_large_answers_among_small_ones_keep_their_order(server: ServerProcess) -> None:
    images = [photo(2100, 2000, seed=1), photo(seed=2), photo(2000, 2100, seed=3)]
    together = outputs(as_json(server, images, task="inpaint", size="original"))
    for image, answer in zip(images, together, strict=True):
        alone = pixels(server.infer("inpaint", image, size="original").content)
        assert alone.shape == pixels(image).shape
        assert np.abs(alone - pixels(answer)).max() <= 1


def test_json_reply_holds_what_the_contract_says(server: ServerProcess) -> None:
    reply = as_json(server, [photo(), photo(seed=2)], task="identity", format="webp").json()
    assert reply.keys() == {"task", "model", "artifact", "outputs", "timing_ms"}
    assert reply["task"] == "identity"
    assert reply["artifact"] == server.client.get("/tasks/identity").json()["artifact"]
    assert reply["timing_ms"].keys() == {"queue", "decode", "compute", "encode"}
    for output in reply["outputs"]:
        assert output.keys() == {"image", "media_type", "width", "height", "confidence"}
        assert (output["media_type"], output["width"], output["height"]) == ("image/webp", 112, 112)


@pytest.mark.parametrize(
    ("accept", "images", "media_type"),
    [
        ("*/*", 1, "image/png"),
        ("image/*", 1, "image/png"),
        ("image/webp, */*;q=0.1", 1, "image/png"),
        ("application/json", 1, "application/json"),
        ("image/*;q=0.5, application/json", 1, "application/json"),
        ("*/*", 2, "application/json"),
        ("image/*", 2, "application/json"),
    ],
)
def test_multipart_replies_by_accept(server: ServerProcess, accept: str, images: int, media_type: str) -> None:
    reply = multipart(server, [photo()] * images, accept, task="identity")
    assert reply.headers["content-type"] == media_type


def test_several_images_come_back_in_order(server: ServerProcess) -> None:
    images = [photo(seed=seed) for seed in range(20)]  # more than a batch
    together = outputs(multipart(server, images, task="inpaint"))
    for image, answer in zip(images, together, strict=True):
        assert np.abs(pixels(server.infer("inpaint", image).content) - pixels(answer)).max() <= 1


def test_one_shot_needs_no_task(server: ServerProcess) -> None:
    files = [(name, (name, photo(seed=i))) for i, name in enumerate(["image", "example_input", "example_output"])]
    reply = server.client.post("/infer", files=files)
    assert reply.headers["content-type"] == "image/png"
    assert "x-vtv-artifact" not in reply.headers
    other = server.client.post("/infer", files=[*files[:2], ("example_output", ("o", photo(seed=9)))])
    assert np.abs(pixels(reply.content) - pixels(other.content)).mean() > 0
    as_json = server.client.post("/infer", files=files, headers={"Accept": "application/json"}).json()
    assert (as_json["task"], as_json["artifact"]) == (None, None)


@pytest.mark.parametrize("task", ANSWERS)
def test_original_size_is_the_querys(server: ServerProcess, task: str) -> None:
    reply = server.infer(task, photo(301, 97), size="original")
    assert pixels(reply.content).shape == (97, 301, 3)


@pytest.mark.parametrize(("name", "kind"), [("png", "PNG"), ("webp", "WEBP"), ("jpeg", "JPEG")])
def test_format_is_the_one_asked_for(server: ServerProcess, name: str, kind: str) -> None:
    reply = server.infer("identity", photo(), format=name)
    assert reply.headers["content-type"] == f"image/{name}"
    assert Image.open(io.BytesIO(reply.content)).format == kind


def test_refinement_follows_the_artifact_unless_told_otherwise(server: ServerProcess) -> None:
    image = photo()

    def answer(task: str, refine: str) -> bytes:
        return server.infer(task, image, refine=refine).content

    assert ANSWERS["colorization"].refine == "guided"
    assert answer("colorization", "auto") == answer("colorization", "guided") != answer("colorization", "none")
    assert ANSWERS["segmentation"].refine == "none"
    assert answer("segmentation", "auto") == answer("segmentation", "none") != answer("segmentation", "guided")


def test_a_batch_of_five_tasks_gives_each_what_it_gets_alone(server: ServerProcess) -> None:
    """Requests in flight together share batches; each task's vector is its own."""
    image = photo(seed=3)
    alone = {task: server.infer(task, image).content for task in ANSWERS}
    for first in ANSWERS:
        for second in ANSWERS:
            if first < second:
                assert np.abs(pixels(alone[first]) - pixels(alone[second])).mean() > 1
    batches = server.metric("vtv_batch_tasks_count")
    together = simultaneous(server, [(task, image) for task in list(ANSWERS) * 6])
    assert server.metric("vtv_batch_tasks_count") - batches < len(together)
    for task, answer in together:
        assert np.abs(pixels(alone[task]) - pixels(answer)).max() <= 1


def simultaneous(server: ServerProcess, asked: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """All at once, each on a connection of its own."""
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = pool.map(lambda pair: server.infer(*pair).content, asked)
        return [(task, answer) for (task, _), answer in zip(asked, answers, strict=True)]


def test_reply_headers(server: ServerProcess) -> None:
    reply = server.infer("identity", photo())
    stages = re.findall(r"(\w+);dur=[\d.]+", reply.headers["server-timing"])
    assert sorted(stages) == ["compute", "decode", "encode", "queue"]
    assert reply.headers["x-vtv-artifact"] == server.client.get("/tasks/identity").json()["artifact"]
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize(("given", "kept"), [("order-66:a", True), ("a b", False), ("x" * 129, False)])
def test_a_sane_request_id_is_kept(server: ServerProcess, given: str, kept: bool) -> None:
    reply = server.client.get("/healthz", headers={"X-Request-ID": given})
    assert (reply.headers["x-request-id"] == given) is kept


def test_an_answer_says_how_far_it_can_be_trusted(server: ServerProcess) -> None:
    """In every form the same, however it is refined or cut; a task without a calibration says nothing."""
    before = server.metric("vtv_answer_confidence_count", task="segmentation")
    raw = server.infer("segmentation", photo())
    told = float(raw.headers["x-vtv-confidence"])
    assert 0 < told < 1
    assert (
        float(server.infer("segmentation", photo(), threshold="auto", refine="none").headers["x-vtv-confidence"])
        == told
    )
    body = {"task": "segmentation", "images": [base64.b64encode(photo(seed=seed)).decode() for seed in (0, 1)]}
    reply = server.client.post("/infer", json=body)
    each = [output["confidence"] for output in reply.json()["outputs"]]
    assert each[0] == told
    assert float(reply.headers["x-vtv-confidence"]) == min(each)
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": body["images"][:1]}
    assert server.client.post("/v2/models/segmentation/infer", json={"inputs": [tensor]}).json()["parameters"] == {
        "confidence": told
    }
    assert server.metric("vtv_answer_confidence_count", task="segmentation") == before + 5
    plain = server.infer("identity", photo())
    assert "x-vtv-confidence" not in plain.headers
