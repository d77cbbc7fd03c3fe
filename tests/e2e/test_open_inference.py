"""/v2 over a real socket, with the client that the protocol's users have, and by hand."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support import ServerProcess, photo

triton = pytest.importorskip("tritonclient.http")


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def near(first: Any, second: Any) -> bool:
    """Equal but for the rounding that differs with a batch's size."""
    return first.shape == second.shape and bool(np.abs(first.astype(int) - second.astype(int)).max() <= 1)


def tensor(values: Any, datatype: str, binary: bool = True) -> Any:
    given = triton.InferInput("image", values.shape, datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return given


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Any]:
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield client
    client.close()


def test_what_a_client_asks_first(client: Any, server: ServerProcess) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("segmentation")
    assert not client.is_model_ready("nonesuch")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    about = client.get_model_metadata("segmentation")
    assert about["versions"] == [server.client.get("/tasks/segmentation").json()["artifact"]]
    assert about["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert about["outputs"] == [{"name": "answer", "datatype": "UINT8", "shape": [-1, 112, 112, 3]}]
    filling = client.get_model_metadata("inpaint")["inputs"]
    assert [given["name"] for given in filling] == ["image", "mask"]
    assert filling[1]["shape"] == [-1, -1, -1, 3]


def test_a_version_is_served_at_its_own_address(client: Any, server: ServerProcess) -> None:
    (version,) = client.get_model_metadata("segmentation")["versions"]
    assert client.is_model_ready("segmentation", version)
    assert client.get_model_metadata("segmentation", version) == client.get_model_metadata("segmentation")
    image = tensor(pixels(photo())[None], "UINT8")
    reply = client.infer("segmentation", [image], model_version=version)
    assert np.array_equal(reply.as_numpy("answer"), client.infer("segmentation", [image]).as_numpy("answer"))
    other = server.client.get("/tasks/identity").json()["artifact"]
    assert not client.is_model_ready("segmentation", other)
    with pytest.raises(triton.InferenceServerException, match="no such version") as caught:
        client.infer("segmentation", [image], model_version=other)
    assert caught.value.status() == "404"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_pixels_in_pixels_out(client: Any, server: ServerProcess, binary_in: bool, binary_out: bool) -> None:
    images = np.stack([pixels(photo(seed=seed, file_format="PNG")) for seed in (1, 2)])
    wanted = [triton.InferRequestedOutput("answer", binary_data=binary_out)]
    reply = client.infer("colorization", [tensor(images, "UINT8", binary_in)], outputs=wanted, request_id="7")
    answers = reply.as_numpy("answer")
    assert (answers.dtype, answers.shape) == (np.uint8, (2, 112, 112, 3))
    assert reply.get_response()["id"] == "7"
    for answer, seed in zip(answers, (1, 2), strict=True):
        direct = server.infer("colorization", photo(seed=seed, file_format="PNG"))
        assert near(answer, pixels(direct.content))
        assert reply.get_response()["model_version"] == direct.headers["x-vtv-artifact"]


def test_files_in_files_out(client: Any, server: ServerProcess) -> None:
    files = [photo(seed=3), photo(200, 150, seed=4)]
    reply = client.infer("identity", [tensor(np.array(files, object), "BYTES")], parameters={"size": "original"})
    answers = reply.as_numpy("answer")
    for answer, file in zip(answers, files, strict=True):
        assert near(pixels(answer), pixels(server.infer("identity", file, size="original").content))


def test_files_in_pixels_out(client: Any, server: ServerProcess) -> None:
    reply = client.infer("identity", [tensor(np.array([photo()], object), "BYTES")], parameters={"format": "raw"})
    assert np.array_equal(reply.as_numpy("answer")[0], pixels(server.infer("identity", photo()).content))


def test_files_in_json(server: ServerProcess) -> None:
    text = base64.b64encode(photo()).decode()
    asked = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}]}
    output = server.client.post("/v2/models/identity/infer", json=asked).json()["outputs"][0]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1])
    assert base64.b64decode(output["data"][0]) == server.infer("identity", photo()).content


def test_errors_are_told_in_the_protocols_way(client: Any, server: ServerProcess) -> None:
    image = tensor(np.zeros((1, 8, 8, 3), np.uint8), "UINT8")
    with pytest.raises(triton.InferenceServerException, match="Installed tasks: colorization, identity"):
        client.infer("nonesuch", [image])
    broken = tensor(np.array([b"not an image"], object), "BYTES")
    with pytest.raises(triton.InferenceServerException, match="could not be read") as caught:
        client.infer("identity", [broken])
    assert caught.value.status() == "422"
    with pytest.raises(triton.InferenceServerException, match="Compressed"):
        client.infer("identity", [image], request_compression_algorithm="gzip")
    reply = server.client.post("/v2/models/identity/infer", content=b"{")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["error"] == reply.json()["detail"]
    assert reply.status_code == 400
    assert server.client.get("/v2/models/nonesuch/ready").status_code == 404


def test_requests_are_counted_and_timed(client: Any, server: ServerProcess) -> None:
    before = server.metric("vtv_requests_total", task="inpaint", code="200")
    client.infer("inpaint", [tensor(np.zeros((3, 8, 8, 3), np.uint8), "UINT8")])
    assert server.metric("vtv_requests_total", task="inpaint", code="200") == before + 1
