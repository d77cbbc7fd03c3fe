"""With none of the extras, a server serves, and a command that needs one says which."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ServerProcess, photo

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in {"fpng", "jinja2", "matplotlib", "openvino", "opentelemetry.sdk", "scipy", "skimage", "yaml"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def _without_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own hook at start-up makes the packages of every extra look missing, in processes started from here."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("_without_extras")
def test_a_server_needs_no_extra(start_server: Callable[..., ServerProcess]) -> None:
    bare = start_server()
    for size in ("native", "original"):
        reply = bare.infer("colorization", photo(), size=size)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    page = bare.client.get("/docs").text
    for part in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"static/swagger/{part}" in page
        assert bare.client.get(f"/static/swagger/{part}").status_code == 200


@pytest.mark.slow
@pytest.mark.usefixtures("_without_extras")
def test_a_command_names_the_extra_that_it_needs(tiny_store: Path) -> None:
    def vtv(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", *words]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ)

    listed = vtv("tasks", "--store", str(tiny_store))
    assert (listed.returncode, listed.stderr) == (0, "")
    refused = vtv("evaluate", "--task", "segmentation")
    assert refused.returncode == 2
    needed = "this command needs more packages: pip install 'visual-task-vectors[offline]'"
    assert refused.stderr == f"vtv evaluate: {needed}\n"
