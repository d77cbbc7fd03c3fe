"""service.oip.tensors: requests of the Open Inference Protocol, read and refused."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codec.codec import EncodedAnswer
from service.errors import InvalidImage, InvalidRequest
from service.oip.tensors import TensorCall, read_tensors, tensor_reply
from service.pipeline.call import Outcome
from service.telemetry.timing import Timing

PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


def image(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "UINT8", "shape": [2, 4, 5, 3], "data": PIXELS.tolist()} | changes


def read(tensor: dict[str, Any], payload: bytes = b"", **rest: Any) -> TensorCall:
    head = json.dumps({"inputs": [tensor]} | rest).encode()
    return read_tensors(head + payload, str(len(head)), "identity", 8)


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
    reply = tensor_reply(call, Outcome(answers, Timing(), None))
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
