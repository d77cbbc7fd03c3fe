"""Tasks change while the server runs: through its own API, and through the store it watches."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from artifacts.store.folder import Store
from tests.support import ServerProcess, make_artifact, photo, wait_until

KEY = "an admin's key"
ADMIN = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """That of `changeable`."""
    return Store(tmp_path_factory.mktemp("changeable") / "store")


@pytest.fixture(scope="module")
def changeable(start_server: Callable[..., ServerProcess], store: Store) -> Iterator[ServerProcess]:
    server = start_server(store=str(store.root), admin_key=KEY)
    yield server
    assert server.stop() == 0


@pytest.fixture
def live(changeable: ServerProcess, made: Callable[[str, int], bytes]) -> ServerProcess:
    """A server with one task, identity, made with seed 1."""
    for task in installed(changeable):
        changeable.client.delete(f"/tasks/{task}", headers=ADMIN).raise_for_status()
    put(changeable, "identity", made("identity", 1)).raise_for_status()
    return changeable


@pytest.fixture
def made(tiny_model: tuple[Path, str], tmp_path: Path) -> Callable[[str, int], bytes]:
    """The bytes of an artifact for a task."""

    def make(task: str, seed: int, model: str = tiny_model[1]) -> bytes:
        make_artifact(tmp_path / "made", task, model, seed)
        return (tmp_path / "made").read_bytes()

    return make


def put(server: ServerProcess, task: str, content: bytes, headers: dict[str, str] = ADMIN) -> httpx.Response:
    return server.client.put(f"/tasks/{task}", content=content, headers=headers)


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def installed(server: ServerProcess) -> dict[str, str]:
    return {task["name"]: task["artifact"] for task in server.client.get("/tasks").json()["tasks"]}


def test_put_installs_replaces_and_delete_retires(
    live: ServerProcess, store: Store, made: Callable[[str, int], bytes]
) -> None:
    new = put(live, "inpaint", made("inpaint", 2))
    assert new.status_code == 201
    assert new.json()["artifact"] == store.hash_of("inpaint") == installed(live)["inpaint"]
    assert live.infer("inpaint", photo()).headers["x-vtv-artifact"] == new.json()["artifact"]

    before = live.infer("identity", photo())
    replaced = put(live, "identity", made("identity", 3))
    assert replaced.status_code == 200
    after = live.infer("identity", photo())
    assert after.headers["x-vtv-artifact"] == replaced.json()["artifact"] != before.headers["x-vtv-artifact"]
    assert after.content != before.content

    assert live.client.delete("/tasks/identity", headers={"X-API-Key": KEY}).status_code == 204
    assert installed(live).keys() == {"inpaint"}
    assert live.infer("identity", photo()).status_code == 404
    assert live.client.delete("/tasks/identity", headers=ADMIN).json()["code"] == "unknown_task"
    assert store.names() == ["inpaint"]


def test_put_refuses_what_does_not_fit(live: ServerProcess, made: Callable[..., bytes]) -> None:
    before = installed(live)
    other_task, other_model = made("inpaint", 2), made("identity", 2, model="f" * 64)
    for content in (b"", b"not an artifact", made("identity", 2)[:-9], other_task, other_model):
        refused = put(live, "identity", content)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request"), refused.text
        assert "upload" not in refused.text
    assert "an uploaded artifact is refused: it is not an artifact" in live.log
    assert not re.search(r"refused: \d", live.log)  # no descriptor's number in place of a name
    assert "another task" in put(live, "identity", other_task).json()["detail"]
    assert "another model" in put(live, "identity", other_model).json()["detail"]
    assert installed(live) == before
    assert live.infer("identity", photo()).status_code == 200


def test_changes_need_the_admin_key(live: ServerProcess, server: ServerProcess, made: Callable[..., bytes]) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"}):
        for reply in (
            put(live, "inpaint", made("inpaint", 2), headers),
            live.client.delete("/tasks/identity", headers=headers),
        ):
            assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
            assert reply.headers["www-authenticate"] == "Bearer"
    assert installed(live).keys() == {"identity"}
    refused = put(server, "inpaint", b"")
    assert refused.status_code == 401
    assert "VTV_ADMIN_KEY" in refused.json()["detail"]


def test_requests_while_a_task_is_replaced_get_one_version_or_the_other(
    live: ServerProcess, made: Callable[..., bytes]
) -> None:
    files = [made("identity", seed) for seed in (2, 3)]
    alone: dict[str, Any] = {}
    for file in files:
        digest = put(live, "identity", file).json()["artifact"]
        alone[digest] = pixels(live.infer("identity", photo()).content)
    first, second = alone.values()
    assert np.abs(first - second).mean() > 1
    with ThreadPoolExecutor(2) as pool:
        for turn in range(10):
            replies = [pool.submit(live.infer, "identity", photo()) for _ in range(4)]
            put(live, "identity", files[turn % 2]).raise_for_status()
            for reply in replies:
                result = reply.result()
                assert result.status_code == 200
                expected = alone[result.headers["x-vtv-artifact"]]
                assert np.abs(pixels(result.content) - expected).max() <= 1


def test_the_store_is_followed(live: ServerProcess, store: Store, made: Callable[..., bytes], tmp_path: Path) -> None:
    def publish(task: str, seed: int) -> str:
        path = tmp_path / "published"
        path.write_bytes(made(task, seed))
        return store.publish(path).hash

    for task, seed in (("inpaint", 5), ("identity", 6)):
        digest = publish(task, seed)
        wait_until(lambda: installed(live).get(task) == digest, "a published artifact")  # noqa: B023
        assert live.infer(task, photo()).headers["x-vtv-artifact"] == digest
    store.retire("inpaint")
    wait_until(lambda: installed(live).keys() == {"identity"}, "a retirement")
    shutil.rmtree(store.tasks)
    store.tasks.mkdir()
    wait_until(lambda: live.metric("vtv_tasks_missing") == 1, "an empty store")
    assert installed(live).keys() == {"identity"}
    live.client.delete("/tasks/identity", headers=ADMIN).raise_for_status()
    assert installed(live) == {}
    wait_until(lambda: live.metric("vtv_tasks_missing") == 0, "nothing missing")


def test_what_is_refused_leaves_the_old_one_serving(live: ServerProcess, store: Store, tmp_path: Path) -> None:
    before, refused = live.infer("identity", photo()), live.metric("vtv_artifacts_refused_total")
    make_artifact(tmp_path / "foreign", "identity", "f" * 64, seed=9)
    foreign = store.publish(tmp_path / "foreign").hash
    wait_until(lambda: live.metric("vtv_artifacts_refused_total") == refused + 1, "a refusal")
    store.path_of(installed(live)["identity"]).write_bytes(b"overwritten")
    (store.tasks / "inpaint").write_bytes(b"\xff\xfe")
    wait_until(lambda: live.metric("vtv_artifacts_refused_total") == refused + 2, "another refusal")
    after = live.infer("identity", photo())
    assert after.headers["x-vtv-artifact"] == before.headers["x-vtv-artifact"] != foreign
    assert after.content == before.content
    assert live.log.count("task identity keeps its old artifact") == 1
    assert live.log.count("task inpaint is left out") == 1


@pytest.mark.slow
def test_keys_for_answers(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(api_keys="one, two", admin_key=KEY, host="0.0.0.0")
    headers = {"Content-Type": "image/jpeg"}
    for given, status in (
        ({}, 401),
        ({"X-API-Key": "one two"}, 401),
        ({"X-API-Key": "two"}, 200),
        ({"Authorization": "bearer one"}, 200),
        (ADMIN, 200),
    ):
        reply = server.client.post("/infer?task=identity", content=photo(), headers=headers | given)
        assert reply.status_code == status
    assert put(server, "identity", b"", {"X-API-Key": "one"}).status_code == 401
    assert server.metric("vtv_requests_total", code="401") == 2
    assert server.client.post("/v2/models/identity/infer", json={}).json()["code"] == "unauthorized"
    for path in ("/tasks", "/healthz", "/readyz", "/metrics", "/"):
        assert server.client.get(path).status_code == 200
    operation = server.client.get("/openapi.json").json()
    for path, method in (("/infer", "post"), ("/v2/models/{task}/infer", "post"), ("/tasks/{name}", "put")):
        assert operation["paths"][path][method]["security"] == [{"bearer": []}, {"api_key": []}]
    assert operation["components"]["securitySchemes"].keys() == {"bearer", "api_key"}
