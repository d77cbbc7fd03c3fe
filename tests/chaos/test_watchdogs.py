"""Every part of a server that stands still: it is served again, or the process ends, within half a minute.

Processes are stopped by a signal. A thread cannot be stopped alone: it is held by code of ours in the server's process.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from artifacts.store.folder import Store
from tests.chaos.test_codec_processes import is_running
from tests.support import PATIENCE, ServerProcess, descendants, make_artifact, photo, wait_until

pytestmark = pytest.mark.slow
WITHIN = 30.0
DOCKERFILE = Path(__file__).parents[2] / "deploy/docker/Dockerfile"
HELD_BY_SIGNAL = "import signal, time, ctypes\nsignal.signal(signal.SIGUSR1, lambda *_: {how})\n"
HOLD_THE_LOG = "[handler.acquire() for handler in __import__('logging').getLogger().handlers]"
HELD_WRITE = """
import time, service.batching.overdue as overdue
from engine.runtime import Engine
overdue._LEAST_SECONDS = 1.0
Engine.write_slot = lambda *given: time.sleep(3600)
"""
BAD_SLOTS = """
import signal
from engine.runtime import Engine
engines, load = [], Engine.load
def kept(*given, **named):
    engines.append(load(*given, **named))
    return engines[0]
Engine.load = kept
def spoil(*_):
    for values in (engines[0].bank.encoder_value, engines[0].bank.decoder_value):
        values[:, 1:] = float("nan")
signal.signal(signal.SIGUSR1, spoil)
"""
HELD_LOOKS = """
import os, time
from artifacts.store.folder import Store
def held(name):
    free = getattr(Store, name)
    def wait(*given, **named):
        while os.path.exists({flag!r}):
            time.sleep(0.05)
        return free(*given, **named)
    setattr(Store, name, wait)
held("look"), held("publish_any"), held("retire")
"""


@contextmanager
def serving(changes: str = "", **settings: str) -> Iterator[ServerProcess]:
    """A server process, with something changed in it, whose time to stand still is short."""
    code = f"{changes}\nfrom cli.main import main\nimport sys\nsys.exit(main(['serve']))"
    given = {"stall_seconds": "3", "picture_seconds": "2", "codec_processes": "1"} | settings
    server = ServerProcess(command=[sys.executable, "-c", code], **given)
    try:
        server.wait_ready()
        assert server.infer("identity", photo()).status_code == 200 or changes == HELD_WRITE
        yield server
    finally:
        if server.process.poll() is None:
            os.kill(server.process.pid, signal.SIGCONT)
        server.stop()


def command_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def guard_of(server: ServerProcess) -> int:
    def ready() -> list[int]:
        below = [child for child in descendants(server.process.pid) if "guard_main" in command_of(child)]
        return [child for child in below if has_begun(child)]

    wait_until(lambda: bool(ready()), "a guard")
    return ready()[0]


def has_begun(guard: int) -> bool:
    """Whether it ignores SIGTERM by now."""
    ignored = re.search(r"SigIgn:\s+(\w+)", Path(f"/proc/{guard}/status").read_text())
    return ignored is not None and bool(int(ignored[1], 16) >> (signal.SIGTERM - 1) & 1)


def health_check(server: ServerProcess) -> int:
    """The images' own, at the server's address."""
    found = re.search(r'HEALTHCHECK .*\\\n +CMD \["python", "-c", "(.*)"\]', DOCKERFILE.read_text())
    assert found
    code = found[1].replace("http://127.0.0.1:8000", server.url)
    try:
        return subprocess.run([sys.executable, "-c", code], timeout=10, capture_output=True, check=False).returncode
    except subprocess.TimeoutExpired:
        return 1


def test_a_server_that_is_stopped_fails_its_health_check_and_is_killed(tiny_settings: dict[str, str]) -> None:
    with serving(**tiny_settings, stall_seconds="12") as server:
        assert health_check(server) == 0
        below, began = descendants(server.process.pid), monotonic()
        os.kill(server.process.pid, signal.SIGSTOP)
        assert health_check(server) != 0
        assert server.process.wait(PATIENCE) == -signal.SIGKILL
        assert monotonic() - began < WITHIN
        wait_until(lambda: not any(map(is_running, below)), "an end of its processes")
    assert "it is killed" in server.log


def test_whatever_else_is_stopped_everybody_is_served(tiny_settings: dict[str, str]) -> None:
    with serving(**tiny_settings) as server:
        for index in range(len(descendants(server.process.pid))):
            process, began = descendants(server.process.pid)[index], monotonic()
            os.kill(process, signal.SIGSTOP)
            # Large files go to the process that is kept for them.
            assert server.infer("identity", photo(3000, 2000, file_format="PNG")).status_code == 200
            assert server.infer("identity", photo(), size="original").status_code == 200
            assert server.client.get("/readyz").status_code == 200
            assert monotonic() - began < WITHIN
            if process in descendants(server.process.pid):  # it had nothing to do
                os.kill(process, signal.SIGCONT)


def test_a_guard_that_is_stopped_or_killed_is_replaced(tiny_settings: dict[str, str]) -> None:
    with serving(**tiny_settings) as server:
        for how in (signal.SIGSTOP, signal.SIGKILL):
            guard = guard_of(server)
            os.kill(guard, how)
            wait_until(lambda guard=guard: not is_running(guard), "its end")
            assert guard_of(server) != guard
        assert server.infer("identity", photo()).status_code == 200
        guard = guard_of(server)
        os.kill(guard, signal.SIGSTOP)
        server.process.kill()
        wait_until(lambda: not is_running(guard), "an end with its server")


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("time.sleep(3600)", 4, "the event loop has done nothing for"),
        (f"({HOLD_THE_LOG}, time.sleep(3600))", 4, "the event loop has done nothing for"),
        ("ctypes.PyDLL(None).sleep(3600)", -signal.SIGKILL, "the server has done nothing for"),
    ],
    ids=["sleeps", "sleeps and holds the log", "keeps the interpreter"],
)
def test_a_process_whose_event_loop_hangs_ends(tiny_settings: dict[str, str], how: str, code: int, words: str) -> None:
    with serving(HELD_BY_SIGNAL.format(how=how), **tiny_settings) as server:
        began = monotonic()
        os.kill(server.process.pid, signal.SIGUSR1)
        assert server.process.wait(PATIENCE) == code
        assert monotonic() - began < WITHIN
    assert words in server.log
    assert code < 0 or "most recent call first" in server.log, "where each thread stands"


def test_a_process_that_hangs_at_a_write_into_the_bank_ends(tiny_settings: dict[str, str]) -> None:
    changes, began = HELD_WRITE, monotonic()
    with serving(changes, timeout_ms="1000", **tiny_settings) as server:
        assert server.process.wait(PATIENCE) == 3
    assert monotonic() - began < 2 * WITHIN
    assert "the engine hangs" in server.log


def test_a_slot_whose_values_go_bad_is_written_again(tiny_settings: dict[str, str]) -> None:
    with serving(BAD_SLOTS, **tiny_settings) as server:
        tasks = ("lowlight_enhance", "colorization", "inpaint")
        before = [server.infer(task, photo()).content for task in tasks]
        os.kill(server.process.pid, signal.SIGUSR1)
        for task, answer in zip(tasks, before, strict=True):
            statuses = [server.infer(task, photo()).status_code for _ in range(3)]
            assert statuses[1:] == [200, 200]
            assert server.infer(task, photo()).content == answer
        assert server.metric("vtv_bad_answers_total") == 3
        assert server.metric("vtv_engine_restarts_total") == 0


def test_a_store_that_halts_whoever_touches_it_halts_nobody_else(
    tiny_settings: dict[str, str], tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    flag, store = tmp_path / "away", Store(tmp_path / "store")
    make_artifact(tmp_path / "a", "identity", tiny_model[1], 1)
    store.publish(tmp_path / "a")
    settings = tiny_settings | {"store": str(store.root), "admin_key": "k", "stall_seconds": "2"}
    with serving(HELD_LOOKS.format(flag=str(flag)), **settings) as server:
        admin = {"Authorization": "Bearer k"}
        assert server.metric("vtv_store_up") == 1
        flag.touch()
        wait_until(lambda: server.metric("vtv_store_calls_stuck") >= 2, "looks that are given up")
        assert server.metric("vtv_store_up") == 0
        assert server.metric("vtv_store_look_age_seconds") > 2
        began = monotonic()
        for reply in (
            server.client.put("/tasks/identity", content=(tmp_path / "a").read_bytes(), headers=admin),
            server.client.delete("/tasks/identity", headers=admin),
        ):
            assert (reply.status_code, "store" in reply.json()["detail"]) == (500, True)
        assert monotonic() - began < WITHIN
        assert server.infer("identity", photo()).status_code == 200
        assert server.client.get("/readyz").status_code == 200
        flag.unlink()
        wait_until(lambda: server.metric("vtv_store_up") == 1, "the store's return")
        wait_until(lambda: server.metric("vtv_store_calls_stuck") == 0, "the end of what was stuck")
        make_artifact(tmp_path / "b", "inpaint", tiny_model[1], 2)
        store.publish(tmp_path / "b")
        wait_until(lambda: server.infer("inpaint", photo()).status_code == 200, "a task published since")
        flag.touch()
        wait_until(lambda: server.metric("vtv_store_calls_stuck") >= 1, "a look that is given up")
        assert server.stop() == 0, "what is stuck holds up no end"
