"""The rest of the surface: tasks, health, metrics, page, description, and what is refused at start-up."""

import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from artifacts.store.folder import Store
from tests.support import ANSWERS, SERVE, ServerProcess, make_artifact, photo


def test_tasks_are_listed_with_what_is_known(server: ServerProcess) -> None:
    tasks = server.client.get("/tasks").json()["tasks"]
    assert [task["name"] for task in tasks] == sorted(ANSWERS)
    for task in tasks:
        assert task.keys() == {"name", "kind", "description", "classes", "takes", "artifact", "metric", "created"}
        assert (task["kind"], task["classes"]) == ("painting", None)
        assert task["takes"] == {"inpaint": ["mask"], "segmentation": ["threshold"]}.get(task["name"], [])
        assert re.fullmatch(r"[0-9a-f]{64}", task["artifact"])
        assert task["metric"] == {"name": "iou", "value": 0.5}
        assert server.client.get(f"/tasks/{task['name']}").json() == task


def test_health(server: ServerProcess) -> None:
    assert server.client.get("/healthz").status_code == 200
    ready = server.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ok",
        "backend": "eager",
        "runtime": f"torch {torch.__version__}",
        "passed_over": [],
    }


def test_metrics_by_the_contracts_names(server: ServerProcess) -> None:
    server.infer("identity", photo())
    server.infer("nonesuch", photo())
    text = server.client.get("/metrics").text
    for name in (
        'vtv_requests_total{code="200",task="identity"}',
        'vtv_request_duration_seconds_bucket{le="+Inf",task="identity"}',
        *(f'vtv_stage_duration_seconds_count{{stage="{s}"}}' for s in ("decode", "queue", "compute", "encode")),
        'vtv_batch_size_bucket{le="1.0"}',
        "vtv_batch_tasks_sum",
        'vtv_batches_total{backend="eager",bucket="1"}',
        "vtv_queue_depth 0.0",
        "vtv_queue_limit 256.0",
        'vtv_bank_slots{state="idle"}',
        "vtv_bank_installs_total",
        "vtv_bank_evictions_total",
        "vtv_engine_ready 1.0",
        "vtv_engine_restarts_total 0.0",
        "vtv_engine_fallbacks 0.0",
        "vtv_engine_busy_seconds_total",
        "vtv_gpu_memory_bytes 0.0",
        'vtv_build_info{backend="eager",device="cpu",model="tiny"',
    ):
        assert name in text, name
    assert "nonesuch" not in text


class Addresses(HTMLParser):
    """What a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.unlabelled = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found |= {str(given[name]) for name in ("src", "href", "data-src") if given.get(name)}
        self.unlabelled += tag == "img" and "alt" not in given


def test_the_page_is_whole_and_needs_nothing_from_outside(server: ServerProcess) -> None:
    page = Addresses()
    page.feed(server.client.get("/").text)
    assert page.unlabelled == 0
    assert len(page.found) > 5
    for address in page.found:
        assert "//" not in address
        assert server.client.get(f"/{address}").status_code == 200, address
    for asset in ("style.css", *(f"playground/{part}.js" for part in ("main", "api", "cards", "controls"))):
        assert "http" not in server.client.get(f"/static/{asset}").text.replace("http.", "")


def test_the_description_is_shown_without_anything_from_outside(server: ServerProcess) -> None:
    page = Addresses()
    text = server.client.get("/docs").text
    page.feed(text)
    assert {address.rpartition(".")[2] for address in page.found} == {"js", "css", "svg"}
    for address in page.found:
        assert "//" not in address
        assert server.client.get(f"/{address}").status_code == 200, address
    assert "openapi.json" in text
    assert "https://" not in text


def test_the_description_is_complete(server: ServerProcess) -> None:
    described = server.client.get("/openapi.json").json()
    ours = {"/infer", "/tasks", "/tasks/{name}", "/healthz", "/readyz", "/metrics"}
    ours |= {"/tasks/{name}/teach", "/jobs", "/jobs/{job_id}"}
    model, version = "/models/{task}", "/models/{task}/versions/{version}"
    tensors = {"", "/health/live", "/health/ready"}
    tensors |= {f"{address}{part}" for address in (model, version) for part in ("", "/ready", "/infer")}
    assert set(described["paths"]) == ours | {f"/v2{path}" for path in tensors}
    assert set(described["paths"]["/tasks/{name}"]) == {"get", "put", "delete"}
    infer = described["paths"]["/infer"]["post"]
    forms = set(infer["requestBody"]["content"])
    assert forms == {"multipart/form-data", "application/json", "image/jpeg", "image/png", "image/webp"}
    assert set(infer["responses"]) >= {"200", "400", "401", "404", "413", "415", "422", "429", "500", "503", "504"}
    assert {parameter["name"] for parameter in infer["parameters"]} >= {"task", "size", "refine", "format", "top_k"}


@pytest.fixture(scope="module")
def crowded(
    start_server: Callable[..., ServerProcess], tiny_model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server with two slots for four tasks, and a fifth that was made for another model."""
    directory = tmp_path_factory.mktemp("crowded")
    store = Store(directory / "store")
    for seed, task in enumerate(ANSWERS):
        make_artifact(directory / task, task, tiny_model[1] if task != "inpaint" else "f" * 64, seed)
        store.publish(directory / task)
    return start_server(store=str(store.root), slots="3")


def test_artifacts_that_do_not_fit_are_named_and_left_out(crowded: ServerProcess) -> None:
    assert [task["name"] for task in crowded.client.get("/tasks").json()["tasks"]] == sorted({*ANSWERS} - {"inpaint"})
    assert re.search(r"task inpaint is left out: .*made for model", crowded.log)
    assert crowded.infer("inpaint", photo()).status_code == 404


def test_more_tasks_than_slots(crowded: ServerProcess) -> None:
    """Vectors are swapped in and out, and answers stay the same."""
    first = [crowded.infer(task, photo()).content for task in ANSWERS if task != "inpaint"]
    again = [crowded.infer(task, photo()).content for task in ANSWERS if task != "inpaint"]
    assert first == again
    assert crowded.metric("vtv_bank_evictions_total") > 0


@pytest.mark.slow
def test_an_empty_store_serves(start_server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    server = start_server(store=str(tmp_path))
    assert server.client.get("/tasks").json() == {"tasks": []}
    assert server.infer("identity", photo()).json()["tasks"] == []
    files = {name: photo() for name in ("image", "example_input", "example_output")}
    assert server.client.post("/infer", files=files).status_code == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"VTV_HOST": "0.0.0.0"}, "VTV_ALLOW_UNAUTHENTICATED"),
        pytest.param({"VTV_PORT": "x"}, "VTV_PORT", marks=pytest.mark.slow),
        pytest.param({"VTV_MODEL": "/nonexistent"}, "no model at", marks=pytest.mark.slow),
    ],
)
def test_wrong_settings_end_with_one_clear_line(settings: dict[str, str], said: str) -> None:
    ended = subprocess.run(SERVE, env={"VTV_PORT": "0", **settings}, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_taken_port_ends_with_one_clear_line(server: ServerProcess, tiny_model: tuple[Path, str]) -> None:
    port = server.url.rpartition(":")[2]
    ended = subprocess.run(SERVE, env={"VTV_PORT": port}, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.stderr
