"""Series of tasks that are no more leave the metrics."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ServerProcess, make_artifact, photo

KEY = {"Authorization": "Bearer k"}


@pytest.mark.slow
def test_what_is_counted_of_a_task_goes_with_it(
    start_server: Callable[..., ServerProcess], tiny_store: Path, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copytree(tiny_store, tmp_path / "store")
    server = start_server(store=str(tmp_path / "store"), admin_key="k")
    make_artifact(tmp_path / "made", "identity", tiny_model[1], seed=60)
    upload = (tmp_path / "made").read_bytes()
    server.infer("identity", photo())
    server.infer("segmentation", photo())
    server.infer("no-such-task", photo())  # has series of its own
    lines = len(server.client.get("/metrics").text.splitlines())
    for _ in range(3):
        assert server.client.delete("/tasks/identity", headers=KEY).status_code == 204
        assert 'task="identity"' not in server.client.get("/metrics").text
        assert server.infer("identity", photo()).status_code == 404
        assert 'task="identity"' not in server.client.get("/metrics").text
        assert server.client.put("/tasks/identity", content=upload, headers=KEY).status_code == 201
        server.infer("identity", photo())
    assert server.metric("vtv_requests_total", task="identity", code="200") == 1
    assert server.metric("vtv_requests_total", task="segmentation", code="200") == 1
    assert len(server.client.get("/metrics").text.splitlines()) <= lines
