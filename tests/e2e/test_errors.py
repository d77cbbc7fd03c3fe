"""Every error of the contract, over a real socket; after each the server must still serve."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import ServerProcess, photo

MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture(autouse=True)
def still_serves(server: ServerProcess) -> Iterator[None]:
    yield
    assert server.infer("identity", photo()).status_code == 200
    assert server.client.get("/readyz").status_code == 200


def check(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    told: dict[str, Any] = reply.json()
    assert {"type", "title", "status", "detail", "code"} <= told.keys()
    assert (reply.status_code, told["status"], told["code"]) == (status, status, code)
    assert reply.headers["x-request-id"]
    return told


def form(server: ServerProcess, files: dict[str, Any], **fields: Any) -> httpx.Response:
    return server.client.post("/infer", data=fields, files=files)


def post(server: ServerProcess, body: bytes, content_type: str, **query: str) -> httpx.Response:
    return server.client.post("/infer", params=query, content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("task", ["nonesuch", "segmentation+inpaint", "../../etc", "Ünknown"])
def test_unknown_task_lists_the_tasks(server: ServerProcess, task: str) -> None:
    for reply in (server.infer(task, photo()), form(server, {"image": photo()}, task=task)):
        assert "segmentation" in check(reply, 404, "unknown_task")["tasks"]
        assert task not in reply.text


def test_unknown_task_in_tasks(server: ServerProcess) -> None:
    check(server.client.get("/tasks/nonesuch"), 404, "unknown_task")


def test_broken_image(server: ServerProcess) -> None:
    for image in (b"not an image", photo()[:-100], b"\x89PNG\r\n\x1a\n"):
        check(server.infer("identity", image), 422, "invalid_image")
        check(form(server, {"image": image}, task="identity"), 422, "invalid_image")
    check(form(server, {"image": b""}, task="identity"), 422, "invalid_image")
    check(server.client.post("/infer", json={"task": "identity", "images": ["!"]}), 422, "invalid_image")


def test_a_broken_example_is_a_broken_image(server: ServerProcess) -> None:
    files = {"image": photo(), "example_input": photo(), "example_output": b"no"}
    check(form(server, files), 422, "invalid_image")


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF"])
def test_another_kind_of_image(server: ServerProcess, file_format: str) -> None:
    check(server.infer("identity", photo(file_format=file_format)), 415, "unsupported_media")


def test_missing_fields(server: ServerProcess) -> None:
    image = {"image": photo()}
    wrong = [
        form(server, image),
        form(server, {"other": photo()}, task="identity"),
        form(server, {"example_input": photo(), **image}),
        form(server, {"example_input": photo(), "example_output": photo(), **image}, task="identity"),
        post(server, photo(), "image/jpeg"),
        post(server, b"", "image/jpeg", task="identity"),
        server.client.post("/infer", json={"task": "identity"}),
        server.client.post("/infer", json={"images": []}),
        server.client.post("/infer", data={"task": "identity", "image": "text"}, files={"x": b""}),
    ]
    for reply in wrong:
        check(reply, 400, "invalid_request")


@pytest.mark.parametrize("field", ["size", "refine", "format"])
def test_unknown_choices(server: ServerProcess, field: str) -> None:
    told = check(server.infer("identity", photo(), **{field: "secret-value"}), 400, "invalid_request")
    assert field in told["detail"]
    assert "secret-value" not in told["detail"]
    check(form(server, {"image": photo()}, task="identity", **{field: "x"}), 400, "invalid_request")


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"task": 5, "images": [5]}', b"\xff", b""])
def test_malformed_json(server: ServerProcess, body: bytes) -> None:
    check(post(server, body, "application/json"), 400, "invalid_request")


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"])
def test_malformed_multipart(server: ServerProcess, body: bytes) -> None:
    check(post(server, body, MULTIPART), 400, "invalid_request")


def test_multipart_without_a_boundary(server: ServerProcess) -> None:
    check(post(server, b"x", "multipart/form-data"), 400, "invalid_request")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_wrong_media_type(server: ServerProcess, content_type: str) -> None:
    check(post(server, photo(), content_type, task="identity"), 415, "unsupported_media")


@pytest.mark.parametrize("value", ["soon", "-1", "1e3", "", "9" * 30])
def test_timeout_header_must_be_a_number(server: ServerProcess, value: str) -> None:
    headers = {"Content-Type": "image/jpeg", "X-VTV-Timeout-Ms": value}
    reply = server.client.post("/infer?task=identity", content=photo(), headers=headers)
    check(reply, 400, "invalid_request")


def test_too_many_images(server: ServerProcess) -> None:
    files = [("image", (str(i), photo())) for i in range(33)]
    reply = server.client.post("/infer", data={"task": "identity"}, files=files)
    check(reply, 400, "invalid_request")


def test_the_frameworks_own_errors(server: ServerProcess) -> None:
    check(server.client.get("/nothing"), 404, "not_found")
    reply = server.client.get("/infer")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"
    assert server.client.options("/tasks/identity").headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert "GET" in server.client.post("/").headers["allow"]
    check(server.client.get("/static/../settings.py"), 404, "not_found")


def test_declared_body_too_large(server: ServerProcess) -> None:
    """The size a client declares is enough: it is told before it has sent anything."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /infer?task=identity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", [b"0" * 5000 + b"7", b"9" * 5000, b"9" * 19, b"-1", b"+7", b"7, 7", b"0x7"])
def test_lengths_that_are_none_are_the_clients_fault(server: ServerProcess, length: bytes) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    lines = len(server.lines)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = b"POST /infer?task=identity HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: "
        connection.sendall(head + length + b"\r\n\r\n" + b"no file")
        status = connection.recv(65536).split(b" ", 2)[1]
    assert status in (b"400", b"413", b"422")
    assert server.infer("identity", photo()).status_code == 200
    assert not any("Traceback" in line for line in server.lines[lines:])


def test_undeclared_body_too_large(server: ServerProcess) -> None:
    """A stream is cut off at the limit, whatever form it pretends to have."""

    def endless(start: bytes) -> Iterator[bytes]:
        yield start
        for _ in range(64):
            yield bytes(2**20)

    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    for content_type, start in (("image/jpeg", b""), ("application/json", b""), (MULTIPART, part)):
        headers = {"Content-Type": content_type}
        reply = server.client.post("/infer?task=identity", content=endless(start), headers=headers)
        check(reply, 413, "payload_too_large")
