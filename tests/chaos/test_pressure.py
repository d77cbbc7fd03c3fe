"""A full queue, deadlines, clients that leave, a clean end: the server must keep count and keep serving."""

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from tests.support import ServerProcess, photo, wait_until

LIMIT = 4


def request_head(content_type: str, length: int) -> bytes:
    """For requests that are to be broken off."""
    lines = ["POST /infer?task=identity HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


@pytest.fixture(scope="module")
def small(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with room for four images."""
    return start_server(queue_limit=str(LIMIT), client_share="1", codec_processes="1")


@pytest.fixture(scope="module")
def slow_image() -> bytes:
    """One that keeps a codec thread busy for a while."""
    return photo(2400, 2000, file_format="PNG")


@pytest.fixture
def occupied(small: ServerProcess, slow_image: bytes) -> Iterator[Future[httpx.Response]]:
    """The server while a request fills its queue."""
    files = [("image", (str(i), slow_image)) for i in range(LIMIT)]
    form = {"task": "identity", "size": "original"}
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(small.client.post, "/infer", data=form, files=files)
        wait_until(lambda: small.metric("vtv_queue_depth") == LIMIT, "a full queue")
        yield reply
        assert reply.result().status_code == 200
    assert small.metric("vtv_queue_depth") == 0
    assert small.infer("identity", photo()).status_code == 200


def test_queue_full(small: ServerProcess, occupied: Future[httpx.Response]) -> None:
    before = small.metric("vtv_dropped_total", reason="queue_full")
    reply = small.infer("identity", photo())
    assert (reply.status_code, reply.json()["code"]) == (429, "queue_full")
    assert int(reply.headers["retry-after"]) > 0
    assert small.metric("vtv_dropped_total", reason="queue_full") == before + 1
    assert not occupied.done()


@pytest.mark.parametrize("milliseconds", ["0", "1"])
def test_deadline(small: ServerProcess, slow_image: bytes, milliseconds: str) -> None:
    before = small.metric("vtv_dropped_total", reason="deadline"), small.metric("vtv_batch_size_sum")
    headers = {"Content-Type": "image/png", "X-VTV-Timeout-Ms": milliseconds}
    reply = small.client.post("/infer?task=identity", content=slow_image, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
    assert small.infer("identity", photo()).status_code == 200
    after = small.metric("vtv_dropped_total", reason="deadline"), small.metric("vtv_batch_size_sum")
    assert after[1] == before[1] + 1  # the one that was asked for afterwards


def test_a_client_that_leaves_is_not_computed(small: ServerProcess, slow_image: bytes) -> None:
    before = small.metric("vtv_batch_size_sum")
    host, port = small.url.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request_head("image/png", len(slow_image)) + slow_image)
    wait_until(lambda: small.metric("vtv_requests_total", code="499") >= 3, "a count of the clients that left")
    assert small.metric("vtv_dropped_total", reason="disconnected") >= 1
    assert small.metric("vtv_queue_depth") == 0
    assert small.infer("identity", photo()).status_code == 200
    assert small.metric("vtv_batch_size_sum") <= before + 3


def test_a_client_that_leaves_while_sending(small: ServerProcess) -> None:
    before = small.metric("vtv_requests_total", code="499")
    host, port = small.url.removeprefix("http://").split(":")
    for content_type in ("image/jpeg", "application/json", "multipart/form-data; boundary=x"):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request_head(content_type, 1000) + b"--x\r\n")
    wait_until(lambda: small.metric("vtv_requests_total", code="499") == before + 3, "a count of the clients")
    assert small.infer("identity", photo()).status_code == 200


def test_draining_finishes_what_is_in_hand(start_server: Callable[..., ServerProcess], slow_image: bytes) -> None:
    server = start_server(codec_processes="1")
    files = [("image", (str(i), slow_image)) for i in range(4)]
    with ThreadPoolExecutor(1) as pool:
        form = {"task": "identity", "size": "original"}
        reply = pool.submit(server.client.post, "/infer", data=form, files=files)
        wait_until(lambda: server.metric("vtv_queue_depth") == 4, "work in hand")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.client.get("/readyz").status_code == 503, "draining")
        refused = server.infer("identity", photo())
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert "retry-after" in refused.headers
        assert server.client.get("/healthz").status_code == 200
        assert reply.result().status_code == 200
    assert server.process.wait(60) == 0
