"""JSON bodies that hold far more values than a request has use for: refused before they are parsed."""

import base64
import json
from time import monotonic

import pytest

from tests.security.test_hostile_pictures import Growth
from tests.support import ServerProcess, photo

MEGABYTES = 31 * 2**20
TEXT = base64.b64encode(photo()).decode()


def repeated(start: str, part: str, end: str, size: int = MEGABYTES) -> bytes:
    return (start + part * ((size - len(start) - len(end)) // len(part)) + end).encode()


INFER = {
    "keys": repeated("{", '"k":1,', '"task":"identity"}'),
    "many keys": ("{" + ",".join(f'"{n}":0' for n in range(1_000_000)) + "}").encode(),
    "empty texts": repeated('{"task":"identity","images":[', '"",', '""]}'),
    "numbers": repeated('{"task":"identity","images":[', "1,", "1]}"),
    "brackets": repeated("", "[", ""),
    "objects": repeated("", '{"a":', ""),
}
HEAD = '{"inputs":[{"name":"image","datatype":"%s","shape":[%s],"data":['
TENSORS = {
    "empty texts": repeated(HEAD % ("BYTES", "7000000"), '"",', '""]}]}'),
    "numbers": repeated(HEAD % ("UINT8", "1,10000000,1,3"), "0,", "0]}]}"),
    "nested numbers": repeated(HEAD % ("UINT8", "1,3000000,1,3"), "[[0,0,0]],", "[[0,0,0]]]}]}"),
    "parameters": repeated('{"inputs":[],"parameters":{', '"k":1,', '"k":1}}'),
    "brackets": repeated(HEAD % ("UINT8", "1,1,1,3"), "[", ""),
}


@pytest.mark.parametrize(
    ("address", "body"),
    [
        *(("/infer", body) for body in INFER.values()),
        *(("/v2/models/identity/infer", body) for body in TENSORS.values()),
    ],
    ids=[*(f"infer, {kind}" for kind in INFER), *(f"tensors, {kind}" for kind in TENSORS)],
)
def test_values_without_end_are_refused_before_they_are_parsed(
    server: ServerProcess, address: str, body: bytes
) -> None:
    growth, began = Growth(server), monotonic()
    reply = server.client.post(address, content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert monotonic() - began < 5
    assert growth.most() < 300 * 2**20


@pytest.mark.parametrize("shape", [[1, 10_000_000, 1, 3], [1, 1, 10_000_000, 3], [32, 300_000, 1, 3]])
def test_tensors_that_are_ribbons_are_refused_before_anything_is_built(server: ServerProcess, shape: list[int]) -> None:
    size = shape[0] * shape[1] * shape[2] * 3
    about = {"name": "image", "datatype": "UINT8", "shape": shape, "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [about]}).encode()
    growth, began = Growth(server), monotonic()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    reply = server.client.post("/v2/models/identity/infer", content=head + bytes(size), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_image")
    assert monotonic() - began < 5
    assert growth.most() < 300 * 2**20


def test_shapes_beyond_all_numbers(server: ServerProcess) -> None:
    for shape in ([1, 2**40, 2**40, 3], [2**70, 1, 1, 3], [1, 0, 5, 3], [1, -1, -1, 3], [1] * 1000, []):
        tensor = {"name": "image", "datatype": "UINT8", "shape": shape, "data": [0, 0, 0]}
        reply = server.client.post("/v2/models/identity/infer", json={"inputs": [tensor]})
        assert reply.status_code in (400, 422), reply.text


def test_what_requests_hold_is_read(server: ServerProcess) -> None:
    asked = {"task": "identity", "images": [f"data:image/jpeg;base64,{TEXT}"] * 32}
    assert server.client.post("/infer", json=asked).status_code == 200
    rows = [[[0, 0, 0]] * 300] * 400
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 400, 300, 3], "data": [rows]}
    assert server.client.post("/v2/models/identity/infer", json={"inputs": [tensor]}).status_code == 200
