"""`POST /tasks/{name}/teach`: jobs on a real server, from the upload to the answer."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support import Files, ServerProcess, descendants, image_file, lesson, photo, wait_until
from vtv_client import Client

KEY = {"X-API-Key": "admin"}


@pytest.fixture(scope="module")
def teaching(
    start_server: Callable[..., ServerProcess], tower_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    store, tower = str(tmp_path_factory.mktemp("empty")), str(tower_folder)
    return start_server(admin_key="admin", teach_jobs="2", store=store, tower=tower, tower_buckets="1")


def post(server: ServerProcess, name: str, files: Files, **fields: str) -> httpx.Response:
    return server.client.post(f"/tasks/{name}/teach", files=files, data=fields, headers=KEY)


def until_over(server: ServerProcess, address: str) -> dict[str, Any]:
    def job() -> dict[str, Any]:
        found: dict[str, Any] = server.client.get(address, headers=KEY).json()
        return found

    wait_until(lambda: job()["state"] not in ("queued", "running"), "the job's end")
    return job()


def teachers(server: ServerProcess) -> list[int]:
    """The server's processes that teach."""
    below = descendants(server.process.pid)
    return [each for each in below if b"service.teach.worker" in Path(f"/proc/{each}/cmdline").read_bytes()]


@pytest.mark.slow
def test_a_lesson_becomes_a_task_that_answers(teaching: ServerProcess) -> None:
    reply = post(teaching, "negative", lesson(3), force="true")
    assert reply.status_code == 202
    address = reply.headers["location"]
    job = until_over(teaching, address)
    assert (job["state"], job["progress"], job["error"]) == ("done", 1.0, None)
    assert job["metric"]["name"] == "mse"
    answer = teaching.infer("negative", photo())
    assert answer.status_code == 200
    assert answer.headers["x-vtv-artifact"] == job["artifact"]
    assert teaching.client.get("/tasks/negative").json()["artifact"] == job["artifact"]
    assert job["id"] in [one["id"] for one in teaching.client.get("/jobs", headers=KEY).json()["jobs"]]
    assert teaching.metric("vtv_jobs_total", outcome="done") == 1
    assert teaching.client.delete(address, headers=KEY).status_code == 204
    assert teaching.client.get(address, headers=KEY).json()["code"] == "unknown_job"


@pytest.mark.slow
def test_labelled_pictures_become_a_task_that_tells_classes(teaching: ServerProcess) -> None:
    draw = np.random.default_rng(0)
    labels = ["night/dark", "day"] * 6
    shades = [np.uint8(40 if label != "day" else 180) + draw.integers(0, 40, (40, 40, 3), np.uint8) for label in labels]
    pictures = [image_file(shade) for shade in shades]
    with Client(teaching.url, admin_key="admin") as client:
        job = client.wait(client.teach_classes("light", pictures, labels), every=0.1)
        assert (job.state, job.error) == ("done", None)
        assert job.metric is not None
        assert (job.metric["name"], job.metric["episodes"]) == ("accuracy", 4)
        told = client.classify("light", pictures[0])
        assert {entry.label for entry in told.classes} == {"day", "night/dark"}
        assert told.artifact == job.artifact
        useless = client.wait(client.teach_classes("useless", pictures[:2] * 4, ["a", "a", "b", "b"] * 2), every=0.1)
        assert useless.state == "failed"
        assert "force=true" in str(useless.error)
        alike = client.wait(client.teach_classes("alike", pictures[:1] * 8, ["a", "b"] * 4), every=0.1)
        assert alike.state == "failed"
        assert "give pictures that differ between classes" in str(alike.error)


@pytest.mark.slow
def test_a_vector_that_is_no_use_is_not_installed(teaching: ServerProcess) -> None:
    """Random weights learn nothing from noise: the mean colour does better."""
    job = until_over(teaching, post(teaching, "useless", lesson(2)).headers["location"])
    assert job["state"] == "failed"
    assert "force=true" in job["error"]
    assert job["metric"]["name"] == "mse"
    assert teaching.client.get("/tasks/useless").status_code == 404


def test_jobs_wait_for_each_other_and_can_be_cancelled(teaching: ServerProcess) -> None:
    first, second = (post(teaching, f"many{seed}", lesson(12, seed)).headers["location"] for seed in (0, 1))
    full = post(teaching, "third", lesson(2))
    assert full.status_code == 429
    assert full.headers["retry-after"]
    assert teaching.metric("vtv_jobs_active") == 2
    state = {address: teaching.client.get(address, headers=KEY).json()["state"] for address in (first, second)}
    assert state[second] == "queued"
    wait_until(lambda: bool(teachers(teaching)), "a process that teaches")
    for address in (second, first):
        assert teaching.client.delete(address, headers=KEY).status_code == 204
        assert teaching.client.get(address, headers=KEY).json()["state"] == "cancelled"
    assert not teachers(teaching)
    assert teaching.metric("vtv_jobs_active") == 0


def test_a_process_that_is_killed_fails_its_job(teaching: ServerProcess) -> None:
    address = post(teaching, "killed", lesson(12)).headers["location"]
    wait_until(lambda: bool(teachers(teaching)), "a process that teaches")
    os.kill(teachers(teaching)[0], signal.SIGKILL)
    job = until_over(teaching, address)
    assert job["state"] == "failed"
    assert "process ended" in job["error"]


@pytest.mark.slow
def test_a_picture_that_breaks_off_is_named(teaching: ServerProcess) -> None:
    files = lesson(2)
    name, (file, content, kind) = files[2]
    files[2] = (name, (file, content[: len(content) // 2], kind))
    job = until_over(teaching, post(teaching, "broken", files).headers["location"])
    assert job["state"] == "failed"
    assert job["error"].startswith("input/2.png")


WRONG: dict[str, tuple[Files, dict[str, str], int, str]] = {
    "one pair": (lesson(1), {}, 400, "2 pairs or more"),
    "no partner": (lesson(3)[:5], {}, 400, "3 input and 2 output"),
    "no picture": ([*lesson(2)[:3], ("output", ("x", b"text", "image/png"))], {}, 422, "output 2"),
    "foreign": ([*lesson(2)[:3], ("output", ("x", b"GIF89a", "image/png"))], {}, 415, "output 2"),
    "labels and outputs": (lesson(2), {"label": "a"}, 400, "label and output"),
    "fewer labels": ([lesson(2)[0], lesson(2)[2]], {"label": "a"}, 400, "2 input files and 1 labels"),
    "one class": ([lesson(2)[0]], {"label": "a"}, 400, "2 classes or more"),
    "no label": ([lesson(2)[0]], {"label": " "}, 400, "printable"),
    "unknown field": (lesson(2), {"speed": "1"}, 400, "speed"),
    "257 pairs": (lesson(1) * 257, {}, 400, "more than 256 pairs"),
    "a label that is a file": ([*lesson(2), ("label", ("x", b"a", "text/plain"))], {}, 400, "label and output"),
    "wrong force": (lesson(2), {"force": "yes"}, 400, "force"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_lesson_is_refused_by_name(teaching: ServerProcess, what: str) -> None:
    files, fields, status, named = WRONG[what]
    reply = post(teaching, "wrong", files, **fields)
    assert reply.status_code == status
    assert named in reply.json()["detail"]


def test_fields_that_a_browser_left_empty_are_not_there(teaching: ServerProcess) -> None:
    def part(head: str, content: bytes) -> bytes:
        return f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"

    pictures = [(name, content) for name, (_, content, _) in lesson(4)]
    pairs = b"".join(part(f'name="{name}"; filename="a.png"', content) for name, content in pictures)
    inputs = b"".join(part('name="input"; filename="a.png"', content) for name, content in pictures if name == "input")
    labels = b"".join(part('name="label"', label) for label in (b"a", b"b", b"a", b"b"))
    empty = part('name="output"; filename=""', b"")
    headers = KEY | {"Content-Type": "multipart/form-data; boundary=x"}
    for form in (pairs + empty + part('name="label"', b""), inputs + empty + labels):
        reply = teaching.client.post("/tasks/browsers/teach", content=form + b"--x--\r\n", headers=headers)
        assert reply.status_code == 202
        assert teaching.client.delete(reply.headers["location"], headers=KEY).status_code == 204


def test_only_an_admin_teaches_and_hears_of_jobs(teaching: ServerProcess) -> None:
    assert teaching.client.post("/tasks/x/teach", files=lesson(2)).status_code == 401
    assert teaching.client.get("/jobs").status_code == teaching.client.get("/jobs/1").status_code == 401
    assert post(teaching, "a b", lesson(2)).status_code == 400


@pytest.mark.slow
def test_a_job_ends_with_its_server(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(admin_key="admin")
    post(server, "orphan", lesson(12))
    wait_until(lambda: bool(teachers(server)), "a process that teaches")
    child = teachers(server)[0]
    server.process.kill()
    server.process.wait()
    limit = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < limit
        time.sleep(0.05)
