"""Codec processes: the first to go where memory runs out, and gone when the server is, however it ended."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support import ServerProcess, photo, wait_until


def descendants(process: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_codec_processes_go_first_and_with_the_server(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(codec_processes="2")
    assert server.infer("identity", photo()).status_code == 200
    codecs = descendants(server.process.pid)
    assert len(codecs) == 4, "the fork server, two processes and the one for what is large"

    def reluctance(process: int) -> int:
        return int(Path(f"/proc/{process}/oom_score_adj").read_text())

    assert all(reluctance(process) >= max(800, reluctance(server.process.pid)) for process in codecs)
    os.kill(codecs[1], signal.SIGSTOP)  # as one that is long at a picture: it does not see that nobody listens
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(is_running(process) for process in codecs))
