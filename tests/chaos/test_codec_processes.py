"""Codec processes: the first to go where memory runs out, gone when the server is, however it ended, and ended by it
where they are stopped: then they answer nothing and do not die."""

import io
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.geometry import Pixels
from engine.tolerance import psnr
from tests.support import ServerProcess, descendants, photo, wait_until


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def codecs_of(server: ServerProcess) -> list[int]:
    """The process that forks, and those that it forked; not the server's guard."""
    below = descendants(server.process.pid)
    return [each for each in below if b"guard_main" not in Path(f"/proc/{each}/cmdline").read_bytes()]


@pytest.mark.slow
def test_codec_processes_go_first_and_with_the_server(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(codec_processes="2")
    assert server.infer("identity", photo()).status_code == 200
    codecs = codecs_of(server)
    assert len(codecs) == 4, "the fork server, two processes and the one for what is large"

    def reluctance(process: int) -> int:
        return int(Path(f"/proc/{process}/oom_score_adj").read_text())

    assert all(reluctance(process) >= max(800, reluctance(server.process.pid)) for process in codecs)
    os.kill(codecs[1], signal.SIGSTOP)  # as one that is long at a picture: it does not see that nobody listens
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(is_running(process) for process in codecs))


def pixels(file: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.slow
def test_every_request_is_answered_when_each_codec_process_is_stopped(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(picture_seconds="2", codec_processes="2")
    picture = photo(800, 600)
    with ThreadPoolExecutor(16) as threads:
        before = pixels(server.infer("identity", picture).content)
        fork_server, *processes = codecs_of(server)
        assert len(processes) == 3
        asked = [threads.submit(server.infer, "identity", picture) for _ in range(64)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        answers = [each.result() for each in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert all(psnr(pixels(answer.content), before) > 40 for answer in answers)
    assert server.metric("vtv_codec_restarts_total") >= 2
    still = set(processes) & set(descendants(server.process.pid))
    assert len(still) <= 1, "one had nothing to do"
    assert fork_server in descendants(server.process.pid)
    server.stop()
    wait_until(lambda: not any(is_running(process) for process in still))
