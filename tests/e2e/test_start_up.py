"""A server is there before its engine: alive and telling how far it is; and it ends by itself when its engine hangs."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.support import PATIENCE, SERVE, ServerProcess, photo, wait_until

HELD_BUILD = """
import sys, time
from engine.runtime import Engine
load = Engine.load
def held(*given, progress, **named):
    progress("building zero_shot, bucket 16, 3 of 9")
    while not {go!r} or not __import__("os").path.exists({go!r}):
        time.sleep(0.02)
        progress("building zero_shot, bucket 16, 3 of 9")
    return load(*given, progress=progress, **named)
Engine.load = held
"""
HANGING_ENGINE = """
import time
import service.batching.overdue as overdue
from engine.runtime import Engine
overdue._LEAST_SECONDS = overdue._UNKNOWN_SECONDS = 0.5
def hang(*given):
    time.sleep(3600)
Engine.submit = hang
"""


@contextmanager
def serving(changes: str, **settings: str) -> Iterator[ServerProcess]:
    """A server process with its engine changed."""
    code = f"{changes}\nfrom cli.main import main\nimport sys\nsys.exit(main(['serve']))"
    server = ServerProcess(command=[sys.executable, "-c", code], **settings)
    try:
        yield server
    finally:
        server.stop()


def test_alive_from_the_start_and_ready_with_the_engine(tiny_settings: dict[str, str], tmp_path: Path) -> None:
    go = tmp_path / "go"
    with serving(HELD_BUILD.format(go=str(go)), **tiny_settings) as server:
        wait_until(lambda: "3 of 9" in server.client.get("/readyz").text)
        assert server.client.get("/healthz").status_code == 200
        waiting = server.client.get("/readyz")
        assert waiting.status_code == 503
        assert waiting.headers["Retry-After"]
        told = {"progress": "building zero_shot, bucket 16, 3 of 9", "code": "not_ready"}
        assert told.items() <= waiting.json().items()
        refused = server.infer("identity", photo())
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert server.metric("vtv_engine_ready") == 0
        assert server.client.get("/tasks").json()["tasks"], "what is known without an engine is told"
        go.touch()
        server.wait_ready()
        assert server.infer("identity", photo()).status_code == 200
        runtime = server.client.get("/readyz").json()["runtime"]
        assert runtime == f"torch {torch.__version__}"
        assert server.metric("vtv_build_info", backend="eager", runtime=runtime) == 1


@pytest.mark.slow
def test_a_server_that_is_stopped_while_it_builds_ends_at_once(tiny_settings: dict[str, str]) -> None:
    with serving(HELD_BUILD.format(go=""), **tiny_settings) as server:
        wait_until(lambda: "3 of 9" in server.client.get("/readyz").text)
        started = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 10


@pytest.mark.slow
def test_an_engine_that_cannot_be_built_ends_the_server_with_one_line(tiny_settings: dict[str, str]) -> None:
    server = ServerProcess(SERVE, **tiny_settings | {"backend": "tensorrt"})
    assert server.process.wait(PATIENCE) == 2
    server.stop()
    assert server.lines[-1] == "vtv serve: tensorrt runs on a GPU, not on cpu"
    assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_process_whose_engine_hangs_ends_with_a_code_of_its_own(tiny_settings: dict[str, str]) -> None:
    with serving(HANGING_ENGINE, **tiny_settings) as server:
        server.wait_ready()
        children = _children(server.process.pid)
        assert children
        with pytest.raises(Exception, match=r"disconnected|reset|closed"):
            server.infer("identity", photo())
        assert server.process.wait(PATIENCE) == 3
        assert re.search(r"a batch has taken [\d.]+ s, .* the engine hangs", server.log)
        wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "an end of codec processes")


def _children(of: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(of)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]
