"""Schemathesis over the API's description against a running server: no unexpected 5xx, no undocumented answer."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts.store.folder import Store
from tests.support import ANSWERS, ServerProcess, make_artifact

ADMIN = "the-admins"
CONFIG = Path(__file__).with_name("schemathesis.toml")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
]
RUN = "from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture(scope="module")
def fuzzed(
    start_server: Callable[..., ServerProcess], tiny_model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server whose store may be changed."""
    directory = tmp_path_factory.mktemp("fuzzed")
    store = Store(directory / "store")
    for seed, task in enumerate(ANSWERS):
        make_artifact(directory / task, task, tiny_model[1], seed)
        store.publish(directory / task)
    return start_server(store=str(store.root), admin_key=ADMIN)


def fuzz(server: ServerProcess, folder: Path, *which: str) -> str:
    """Schemathesis's report; fails where it found something."""
    command = [sys.executable, "-c", RUN, f"--config-file={CONFIG}", "run", f"{server.url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--max-examples=10", "--seed=1"]
    command += ["--continue-on-failure", "--no-color", *which]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.security.schemathesis_hooks", "PYTHONPATH": os.getcwd()}
    ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_every_answer_is_described(fuzzed: ServerProcess, tmp_path: Path) -> None:
    report = fuzz(fuzzed, tmp_path, "--phases=coverage,fuzzing")
    found = re.search(r"(\d+) selected / (\d+) total", report)
    assert found, report
    assert int(found[1]) == int(found[2]) >= 18
    # It came far enough to be answered, and was also refused.
    for code in ("200", "400", "404"):
        assert fuzzed.metric("vtv_requests_total", code=code) > 0, code
    assert fuzzed.metric("vtv_requests_total", code="500") == 0
    assert "Traceback" not in fuzzed.log
    assert fuzzed.client.get("/readyz").status_code == 200


@pytest.mark.slow
def test_every_answer_to_an_admin_is_described(fuzzed: ServerProcess, tmp_path: Path) -> None:
    which = ["--phases=fuzzing", "--include-path=/tasks/{name}"]
    fuzz(fuzzed, tmp_path, *which, "--header", f"X-API-Key:{ADMIN}")
    assert len(fuzzed.client.get("/tasks").json()["tasks"]) < len(ANSWERS)  # some were retired
    assert "Traceback" not in fuzzed.log
