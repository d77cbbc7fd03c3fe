"""The log of a running server: one line a request, as text and as JSON."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import ServerProcess, photo, wait_until


@pytest.fixture(scope="module")
def structured(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    return start_server(log_format="json")


def lines_of(server: ServerProcess, request_id: str) -> list[str]:
    """The lines of one request, as soon as there is one."""
    wait_until(lambda: request_id in server.log, f"a line for {request_id}")
    return [line for line in server.lines if request_id in line]


def entry(server: ServerProcess, request_id: str) -> dict[str, Any]:
    (line,) = lines_of(server, request_id)
    told: dict[str, Any] = json.loads(line)
    return told


def test_an_answer_is_one_line_of_text(server: ServerProcess) -> None:
    reply = server.infer("identity", photo())
    (line,) = lines_of(server, reply.headers["x-request-id"])
    assert re.search(
        r" INFO vtv\.http: POST /infer 200 task=identity images=1 duration_ms=[\d.]+"
        r" queue_ms=[\d.]+ decode_ms=[\d.]+ compute_ms=[\d.]+ encode_ms=[\d.]+ request_id=",
        line,
    )


def test_a_problem_is_one_line_with_its_code(server: ServerProcess) -> None:
    reply = server.infer("identity", b"no image")
    (line,) = lines_of(server, reply.headers["x-request-id"])
    assert "POST /infer 422 code=invalid_image task=identity images=1 duration_ms=" in line


def test_an_address_cannot_forge_a_line(server: ServerProcess) -> None:
    reply = server.client.get("/x%0A2026-01-01 forged%1b[31m")
    (line,) = lines_of(server, reply.headers["x-request-id"])
    assert "GET /x%0A2026-01-01%20forged%1b[31m 404 code=not_found" in line
    assert not any(line.startswith("2026-01-01") for line in server.lines)


def test_json_tells_the_same_in_fields(structured: ServerProcess) -> None:
    headers = {"X-Request-ID": "mine-1", "Content-Type": "image/jpeg"}
    files = [("image", ("a", photo())), ("image", ("b", photo(seed=1)))]
    structured.client.post("/infer?task=identity", content=photo(), headers=headers)
    told = entry(structured, "mine-1")
    assert {"timestamp", "level", "logger", "message"} <= told.keys()
    assert told.items() >= {
        "level": "INFO", "method": "POST", "path": "/infer", "status": 200, "task": "identity", "images": 1
    }.items()  # fmt: skip
    stages = [told[f"{stage}_ms"] for stage in ("queue", "decode", "compute", "encode")]
    assert 0 < sum(stages) <= told["duration_ms"]

    reply = structured.client.post("/infer", data={"task": "identity"}, files=files)
    assert entry(structured, reply.headers["x-request-id"])["images"] == 2


def test_the_stages_leave_no_time_untold(structured: ServerProcess) -> None:
    files = [("image", (str(seed), photo(2400, 1800, seed))) for seed in range(4)]
    reply = structured.client.post("/infer", data={"task": "identity", "size": "original"}, files=files)
    told = entry(structured, reply.headers["x-request-id"])
    # Large answers wait for each other: the stages of any one of them alone would be a third of it.
    assert sum(told[f"{stage}_ms"] for stage in ("queue", "decode", "compute", "encode")) > 0.6 * told["duration_ms"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "not_found"), ("DELETE", "/tasks/x", 401, "unauthorized"), ("GET", "/tasks", 200, None)],
)
def test_every_address_is_logged(structured: ServerProcess, method: str, path: str, status: int, code: str) -> None:
    reply = structured.client.request(method, path)
    told = entry(structured, reply.headers["x-request-id"])
    assert (told["method"], told["path"], told["status"], told.get("code")) == (method, path, status, code)
    assert "task" not in told


def test_an_unknown_task_is_not_repeated(structured: ServerProcess) -> None:
    reply = structured.infer("made-up", photo())
    assert "task" not in entry(structured, reply.headers["x-request-id"])
    assert "made-up" not in structured.log


def test_a_client_that_left_is_told(structured: ServerProcess) -> None:
    host, port = structured.url.removeprefix("http://").split(":")
    head = "POST /infer?task=identity HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: gone-1\r\n"
    head += "Content-Type: image/jpeg\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nbegun".encode())
    told = entry(structured, "gone-1")
    assert (told["status"], told["code"], told["client_gone"]) == (499, "client_closed", True)


def test_probes_that_go_well_are_not_logged(structured: ServerProcess) -> None:
    quiet = [structured.client.get(path).headers["x-request-id"] for path in ("/healthz", "/readyz", "/metrics")]
    last = structured.client.get("/tasks").headers["x-request-id"]
    entry(structured, last)
    assert not any(request_id in structured.log for request_id in quiet)


def test_every_line_is_json(structured: ServerProcess) -> None:
    assert all(isinstance(json.loads(line), dict) for line in structured.lines)
