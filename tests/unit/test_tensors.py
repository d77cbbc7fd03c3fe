"""service.oip: requests of the Open Inference Protocol, read and refused, and what replies hold."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.store.base import load_any
from engine.classification.head import Head
from service.codec.codec import EncodedAnswer
from service.errors import InvalidImage, InvalidRequest
from service.oip.replies import tensor_reply
from service.oip.tensors import TensorCall, read_tensors
from service.pipeline.call import Classified, Painted
from service.tasks.installed import InstalledTask
from service.telemetry.timing import Timing
from tests.support import make_residual

PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def image(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "UINT8", "shape": [2, 4, 5, 3], "data": PIXELS.tolist()} | changes


def read(tensor: dict[str, Any], payload: bytes = b"", classifies: bool = False, **rest: Any) -> TensorCall:
    head = json.dumps({"inputs": [tensor]} | rest).encode()
    return read_tensors(head + payload, str(len(head)), "identity", 8, classifies)


def framed(*files: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(file)) + file for file in files)


@pytest.mark.parametrize("data", [PIXELS.tolist(), PIXELS.ravel().tolist(), PIXELS.reshape(8, 15).tolist()])
def test_numbers_may_be_nested_or_flat(data: list[Any]) -> None:
    call = read(image(data=data))
    assert np.array_equal(np.array(call.images), PIXELS)
    assert not call.encoded
    assert call.options.task == "identity"


def test_binary_pixels() -> None:
    tensor = image(parameters={"binary_data_size": PIXELS.size}, data=None)
    assert np.array_equal(np.array(read(tensor, PIXELS.tobytes()).images), PIXELS)


def test_elements_are_read_up_to_the_first_one_too_many() -> None:
    """What follows is not looked at, broken or not."""
    payload = framed(b"one", b"two", b"three") + b"broken"
    for name in ("image", "mask"):
        tensors = [
            image(name=each, datatype="BYTES", shape=[1], data=None, parameters={"binary_data_size": len(content)})
            for each, content in (("image", framed(b"one")), ("mask", payload))
        ]
        if name == "image":
            tensors = [tensors[1] | {"name": "image"}]
        head = json.dumps({"inputs": tensors}).encode()
        body = head + (framed(b"one") if name == "mask" else b"") + payload
        with pytest.raises(InvalidRequest, match="as many elements as its shape says"):
            read_tensors(body, str(len(head)), "identity", 8)


@pytest.mark.parametrize(
    "rest",
    [{"parameters": {"x": [{}] * 20_000}}, {"outputs": [{"name": 1}] * 5_000}, {"parameters": {"x": [""] * 10_000}}],
    ids=["objects", "outputs", "texts"],
)
def test_texts_and_objects_without_end_are_refused_before_they_are_parsed(rest: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="more texts, names and objects"):
        read(image(), **rest)


def test_a_mask_of_more_elements_than_a_request_may_hold_is_refused() -> None:
    tensors = [image(), image(name="mask", datatype="BYTES", shape=[9], data=[""] * 9)]
    with pytest.raises(InvalidRequest, match="1 to 8 images: the first dimension of mask"):
        read_tensors(json.dumps({"inputs": tensors}).encode(), None, "identity", 8)


@pytest.mark.parametrize("data", [[[[1, 2, 3]], 4], [[[1, 2, 3]], [[1, 2]]], [[[1]], []], [[[[1, 2], 3]]]])
def test_numbers_that_are_nested_irregularly_are_refused(data: list[Any]) -> None:
    with pytest.raises(InvalidRequest, match="not a regular list"):
        read(image(shape=[1, 1, 1, 3], data=data))


def test_files_in_both_forms() -> None:
    files = [b"first", b"", b"third"]
    payload = framed(*files)
    binary = image(datatype="BYTES", shape=[3], data=None, parameters={"binary_data_size": len(payload)})
    text = image(datatype="BYTES", shape=[3], data=[base64.b64encode(file).decode() for file in files])
    for call in (read(binary, payload), read(text)):
        assert list(call.images) == files
        assert call.encoded
        assert call.options.format == "png"


def test_parameters_choose_the_answers_form() -> None:
    call = read(image(), parameters={"format": "webp", "size": "original", "priority": 3}, id="a")
    assert (call.encoded, call.options.format, call.options.size, call.id) == (True, "webp", "original", "a")
    assert not read(image(datatype="BYTES", shape=[1], data=["eA=="]), parameters={"format": "raw"}).encoded
    for asked, binary in (
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [{"name": "answer"}], "parameters": {"binary_data_output": True}}, False),
        ({"outputs": [{"name": "answer", "parameters": {"binary_data": True}}]}, True),
    ):
        assert read(image(), **asked).binary is binary


@pytest.mark.parametrize(
    "tensor",
    [
        image(name="other"),
        image(datatype="FP32"),
        image(shape=[2, 4, 5, 4]),
        image(shape=[1, 4, 5, 3]),
        image(shape=[2, 4, 5]),
        image(shape=[]),
        image(shape=[0, 4, 5, 3]),
        image(shape=[9, 4, 5, 3]),
        image(shape=[2, -4, -5, 3]),
        image(shape=[2, 0, 5, 3], data=[]),
        image(shape=[True, 1, 1, 3], data=[1, 2, 3]),
        image(shape=[1.0, 1, 1, 3], data=[1, 2, 3]),
        image(shape=["1", 1, 1, 3], data=[1, 2, 3]),
        image(shape=[1, 1, 1, 3], data=[1, 2, 256]),
        image(shape=[1, 1, 1, 3], data=[1, 2, -1]),
        image(shape=[1, 1, 1, 3], data=[1, 2, 10**30]),
        image(shape=[1, 1, 1, 3], data=[1, 2, 3.5]),
        image(shape=[1, 1, 1, 3], data=[1, [2], 3]),
        image(shape=[1, 1, 1, 3], data=["1", "2", "3"]),
        image(shape=[1, 1, 1, 3], data=[True, False, True]),
        image(data=None),
        image(parameters={"binary_data_size": PIXELS.size}),
        image(parameters={"binary_data_size": 5}, data=None),
        image(datatype="BYTES", data=["eA=="]),
        image(datatype="BYTES", shape=[2], data=["eA=="]),
        image(datatype="BYTES", shape=[1], data=[5]),
    ],
)
def test_wrong_tensors_are_refused(tensor: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read(tensor)


def test_wrong_requests_are_refused() -> None:
    for rest in (
        {"outputs": [{"name": "other"}]},
        {"outputs": [{"name": "scores"}]},
        {"outputs": [{"name": "answer"}, {"name": "answer"}]},
        {"inputs": [image(), image()]},
        {"inputs": []},
        {"parameters": {"format": "gif"}},
        {"parameters": {"format": ["png"]}},
        {"parameters": {"size": "original"}},
    ):
        with pytest.raises(InvalidRequest):
            read(image(), **rest)
    with pytest.raises(InvalidImage):
        read(image(datatype="BYTES", shape=[1], data=["!"]))


@pytest.mark.parametrize("size", ["", "-1", "1e3", "x", "9" * 30, "3"])
def test_a_wrong_json_size_is_refused(size: str) -> None:
    with pytest.raises(InvalidRequest):
        read_tensors(b"{}", size, "identity", 8)


@given(st.binary(max_size=40))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    tensor = image(datatype="BYTES", shape=[1], data=None, parameters={"binary_data_size": len(payload)})
    try:
        call = read(tensor, payload)
    except InvalidRequest:
        return
    assert framed(*[file for file in call.images if isinstance(file, bytes)]) == payload


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("encoded", [False, True])
def test_replies_say_what_they_hold(binary: bool, encoded: bool) -> None:
    call = read(image(), id="x", parameters={"binary_data_output": binary} | ({"format": "png"} if encoded else {}))
    answers = [EncodedAnswer(pixels.tobytes(), 5, 4) for pixels in PIXELS]
    reply = tensor_reply(call, Painted(answers, Timing(), None))
    body = bytes(reply.body)
    size = int(reply.headers.get("inference-header-content-length", len(body)))
    told = json.loads(body[:size])
    assert (told["model_name"], told["id"]) == ("identity", "x")
    tensor = told["outputs"][0]
    assert tensor["shape"] == ([2] if encoded else [2, 4, 5, 3])
    if binary:
        assert tensor["parameters"]["binary_data_size"] == len(body) - size
        assert body[size:] == (framed(*[answer.data for answer in answers]) if encoded else PIXELS.tobytes())
    elif encoded:
        assert [base64.b64decode(text) for text in tensor["data"]] == [answer.data for answer in answers]
    else:
        assert tensor["data"] == PIXELS.ravel().tolist()


@pytest.fixture
def classified(tmp_path: Path) -> Classified:
    make_residual(tmp_path / "file", "animals", "t" * 64, seed=1, width=8, classes=3)
    task = InstalledTask.of(load_any(tmp_path / "file"))
    assert isinstance(task.content, Head)
    scores = list(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]], np.float32))
    return Classified(scores, task.content.labels, "t" * 64, Timing(), task)


def test_classes_are_two_tensors(classified: Classified) -> None:
    told = json.loads(bytes(tensor_reply(read(image(), classifies=True), classified).body))
    assert told["model_version"] == classified.task.hash
    scores, labels = told["outputs"]
    assert (scores["name"], scores["datatype"], scores["shape"]) == ("scores", "FP32", [2, 3])
    assert np.float32(scores["data"]).tolist() == np.concatenate(classified.scores).tolist()
    assert (labels["name"], labels["datatype"], labels["shape"]) == ("labels", "BYTES", [3])
    assert labels["data"] == ["animals 0", "animals 1", "animals 2"]


@pytest.mark.parametrize("names", [["labels", "scores"], ["scores"], ["labels"]])
def test_classes_after_the_json_part(classified: Classified, names: list[str]) -> None:
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in names]
    reply = tensor_reply(read(image(), classifies=True, outputs=asked), classified)
    body, size = bytes(reply.body), int(reply.headers["inference-header-content-length"])
    held = {
        "scores": np.concatenate(classified.scores).astype("<f4").tobytes(),
        "labels": framed(b"animals 0", b"animals 1", b"animals 2"),
    }
    told = json.loads(body[:size])["outputs"]
    assert [(tensor["name"], tensor["parameters"]["binary_data_size"]) for tensor in told] == [
        (name, len(held[name])) for name in names
    ]
    assert body[size:] == b"".join(held[name] for name in names)


def test_one_of_two_outputs_may_be_binary(classified: Classified) -> None:
    asked = [{"name": "scores", "parameters": {"binary_data": True}}, {"name": "labels"}]
    call = read(image(), classifies=True, outputs=asked)
    assert not call.binary
    reply = tensor_reply(call, classified)
    size = int(reply.headers["inference-header-content-length"])
    scores, labels = json.loads(bytes(reply.body)[:size])["outputs"]
    assert len(bytes(reply.body)) - size == scores["parameters"]["binary_data_size"] == 24
    assert labels["data"][0] == "animals 0"


@pytest.mark.parametrize(
    "outputs", [[{"name": "answer"}], [{"name": "scores"}, {"name": "scores"}], [{"name": "scores"}, {"name": "x"}]]
)
def test_outputs_that_a_classification_lacks_are_refused(outputs: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidRequest, match="outputs are named scores and labels"):
        read(image(), classifies=True, outputs=outputs)


def test_a_task_that_changed_its_kind_is_told_of(classified: Classified) -> None:
    with pytest.raises(InvalidRequest, match="another kind"):
        tensor_reply(read(image()), classified)
