"""What clients, browsers and proxies send that means the same as the plain form: answered, not refused."""

import base64
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store.artifact import load_artifact, save_artifact
from artifacts.store.folder import Store
from tests.support import ServerProcess, photo

ADDRESSES = (
    *("/", "/docs", "/openapi.json", "/tasks", "/tasks/identity", "/healthz", "/readyz", "/metrics"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/identity", "/v2/models/identity/ready"),
    "/static/style.css",
)
PHOTO = photo()
TEXT = base64.b64encode(PHOTO).decode()
WRITTEN = {
    "data URI": f"data:image/jpeg;base64,{TEXT}",
    "data URI with a parameter": f"Data:image/jpeg;name=a.jpg;base64,{TEXT}",
    "url-safe": base64.urlsafe_b64encode(PHOTO).decode(),
    "wrapped": base64.encodebytes(PHOTO).decode(),
    "wrapped as in mail": base64.encodebytes(PHOTO).decode().replace("\n", "\r\n"),
    "unpadded": TEXT.rstrip("="),
    "data URI with spaces": f" data:image/jpeg ; base64 , {TEXT}\n",
    "data URI, escaped": "data:image/jpeg;base64," + TEXT.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
    "data URI of many parameters": f"data:image/jpeg;{'x=y;' * 100}base64,{TEXT}",
    "form feeds": TEXT.replace("A", "A\f"),
    "all at once": "data:;base64,\n" + base64.urlsafe_b64encode(PHOTO).decode().rstrip("="),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_get_address_answers_head(server: ServerProcess, address: str) -> None:
    head, whole = server.client.head(address), server.client.get(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert server.client.get("/healthz").json() == {"status": "ok"}  # the connection is where it should be


def test_head_is_refused_where_get_is(server: ServerProcess) -> None:
    assert server.client.head("/infer").status_code == 405
    assert server.client.head("/tasks/nonesuch").status_code == 404
    for address in ("/healthz", "/", "/docs", "/static/style.css"):
        assert server.client.delete(address).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("address", ["/tasks/", "/tasks/identity/", "/readyz/", "/v2/", "/v2/models/identity/"])
def test_a_slash_at_the_end_changes_nothing(server: ServerProcess, address: str) -> None:
    reply = server.client.get(address)
    assert (reply.status_code, reply.text) == (200, server.client.get(address.rstrip("/")).text)


def test_a_slash_behind_infer_changes_nothing(server: ServerProcess) -> None:
    headers = {"Content-Type": "image/jpeg"}
    reply = server.client.post("/infer/?task=identity", content=PHOTO, headers=headers)
    assert reply.content == server.infer("identity", PHOTO).content


@pytest.mark.parametrize("written", WRITTEN)
def test_base64_in_every_way_of_writing_it(server: ServerProcess, written: str) -> None:
    asked = {"task": "identity", "images": [WRITTEN[written]]}
    answer = server.client.post("/infer", json=asked).json()["outputs"][0]["image"]
    assert base64.b64decode(answer) == server.infer("identity", PHOTO).content
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [WRITTEN[written]]}
    reply = server.client.post("/v2/models/identity/infer", json={"inputs": [tensor]})
    assert reply.json()["outputs"][0]["data"] == [answer]


@pytest.mark.parametrize("text", ["", "!", "data:image/jpeg,abc", "data:image/png;base64", TEXT[:-3] + "*", "a"])
def test_what_is_no_base64_of_a_picture_is_refused(server: ServerProcess, text: str) -> None:
    reply = server.client.post("/infer", json={"task": "identity", "images": [text]})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_image")


def test_json_with_a_byte_order_mark(server: ServerProcess) -> None:
    infer = {"task": "identity", "images": [TEXT]}
    tensors = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]}
    for address, asked in (("/infer", infer), ("/v2/models/identity/infer", tensors)):
        text = json.dumps(asked)
        for body in (b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), b"\xfe\xff" + text.encode("utf-16-be")):
            reply = server.client.post(address, content=body, headers={"Content-Type": "application/json"})
            assert reply.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "deflate, gzip"])
@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json", "multipart/form-data; boundary=x"])
def test_a_compressed_body_is_unsupported(server: ServerProcess, content_type: str, coding: str) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": coding}
    reply = server.client.post("/infer?task=identity", content=gzip.compress(PHOTO), headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media")
    headers["Content-Encoding"] = "identity"
    assert server.client.post("/infer?task=identity", content=b"", headers=headers).status_code != 415


def test_a_file_field_that_a_browser_left_empty(server: ServerProcess) -> None:
    def part(head: str, content: bytes) -> bytes:
        return f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"

    empty = b"".join(part(f'name="{name}"; filename=""', b"") for name in ("mask", "example_input", "example_output"))
    given = part('name="task"', b"identity") + part('name="image"; filename="a"', PHOTO)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = server.client.post("/infer", content=given + empty + b"--x--\r\n", headers=headers)
    assert reply.content == server.infer("identity", PHOTO).content
    nothing = part('name="task"', b"identity") + part('name="image"; filename=""', b"")
    reply = server.client.post("/infer", content=nothing + b"--x--\r\n", headers=headers)
    assert (reply.status_code, "image is missing" in reply.text) == (400, True)


@pytest.fixture(scope="module")
def composed(
    start_server: Callable[..., ServerProcess], tiny_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server with the composition identity+inpaint, which is identity's vector under another name."""
    directory = tmp_path_factory.mktemp("composed")
    store = Store(directory / "store")
    shutil.copytree(tiny_store, store.root)
    plain = load_artifact(store.path_of(store.hash_of("identity")))
    save_artifact(directory / "file", plain.vector, plain.metadata | {"task": "identity+inpaint"})
    store.publish(directory / "file")
    return start_server(store=str(store.root))


@pytest.mark.parametrize("name", ["identity+inpaint", "identity%2Binpaint", "identity%20inpaint"])
def test_a_plus_in_a_query_is_a_compositions(composed: ServerProcess, name: str) -> None:
    headers = {"Content-Type": "image/jpeg"}
    reply = composed.client.post(f"/infer?task={name}", content=PHOTO, headers=headers)
    assert reply.status_code == 200
    assert reply.headers["x-vtv-artifact"] == composed.client.get("/tasks/identity+inpaint").json()["artifact"]
    assert composed.metric("vtv_requests_total", task="identity+inpaint", code="200") > 0
