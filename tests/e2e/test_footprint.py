"""What a server on a processor holds in memory at rest, its codec processes counted."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from benchmarks.footprint import held, processes
from tests.support import SERVE, ServerProcess, photo, wait_until

MOST_MIB = 700


def proportional(server: ServerProcess) -> float:
    return sum(held(process).proportional for process in processes(server.process.pid))


@pytest.mark.slow
def test_a_server_at_rest_holds_what_it_needs(start_server: Callable[..., ServerProcess], engine_cache: Path) -> None:
    pytest.importorskip("openvino")
    # Ahead, as a first start takes longer than a test waits.
    compiled = [sys.executable, "-m", "cli", "compile", "--backend", "openvino", "-o", str(engine_cache)]
    subprocess.run(compiled, check=True)
    settings = {"model": str(BUNDLED_MODEL), "store": str(BUNDLED_STORE), "cache": str(engine_cache)}
    server = start_server(SERVE, backend="openvino", **settings)
    wait_until(lambda: proportional(server) < MOST_MIB, "rest")
    with ThreadPoolExecutor(16) as threads:  # batches of every size
        answers = list(threads.map(lambda _: server.infer("lowlight_enhance", photo()), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["x-vtv-artifact"] for answer in answers}) == 1
