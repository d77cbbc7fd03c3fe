"""A codec process that is stopped answers nothing and does not die: the server ends it."""

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
from tests.support import ServerProcess, photo


def descendants(process: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


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
        fork_server, *processes = descendants(server.process.pid)
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
    assert not any(Path(f"/proc/{process}").exists() for process in still), "a stopped process outlives its server"
