"""The committed files: by promtool, by the compose specification's schema, and against each other."""

import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.prometheus import CONFIG, MONITORING, RULES, dashboard, rules
from tests.tools import HADOLINT

ROOT = MONITORING.parents[1]
COMPOSE = ROOT / "docker-compose.yml"
CONTRACT = [
    "vtv_requests_total", "vtv_request_duration_seconds", "vtv_stage_duration_seconds", "vtv_batch_size",
    "vtv_batch_tasks", "vtv_batches_total", "vtv_queue_depth", "vtv_queue_limit", "vtv_dropped_total",
    "vtv_bank_slots", "vtv_bank_installs_total", "vtv_bank_evictions_total", "vtv_engine_ready",
    "vtv_engine_restarts_total", "vtv_engine_busy_seconds_total", "vtv_gpu_memory_bytes", "vtv_build_info",
    "vtv_answer_confidence",
]  # fmt: skip


def passes(*command: str | Path) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.needs("prometheus")
def test_promtool_accepts_configuration_and_rules() -> None:
    passes("promtool", "check", "config", CONFIG)
    passes("promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.needs("prometheus")
def test_each_alert_rests_and_fires_as_it_should() -> None:
    tests = Path(__file__).parent / "alerts_test.yml"
    passes("promtool", "test", "rules", tests)
    tested = yaml.safe_load(tests.read_text())["tests"]
    cases = [case for test in tested for case in test.get("alert_rule_test", [])]
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts


def test_what_to_do_is_written_down_for_each_alert() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    for rule in rules():
        assert f"| {rule['alert']} |" in guide if "alert" in rule else rule["record"].startswith("vtv:")


def test_the_compose_file_keeps_to_its_schema() -> None:
    passes(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.needs("hadolint")
def test_hadolint_accepts_the_docker_file() -> None:
    passes(str(HADOLINT), ROOT / "deploy" / "docker" / "Dockerfile")


def test_each_profile_starts_one_server_and_what_watches_it() -> None:
    chosen = dict(line.split("=") for line in (ROOT / ".env").read_text().splitlines() if "=" in line)
    assert chosen == {"COMPOSE_PROFILES": "cpu"}
    by_profile = {
        profile: {name for name, service in services().items() if profile in service.get("profiles", [profile])}
        for profile in ("cpu", "gpu")
    }
    assert by_profile["cpu"] == {"vtv", "prometheus", "grafana"}
    assert by_profile["gpu"] == {"vtv-gpu", "dcgm", "prometheus", "grafana"}
    for name in ("vtv-gpu", "dcgm"):
        (device,) = services()[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_the_gpu_image_has_what_each_backend_needs() -> None:
    """nvcc and a C++ compiler for Inductor, both TensorRT backends, and a health check."""
    text = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    image = text[text.index("AS cuda") : text.index("AS cpu")]
    assert re.search(r"FROM nvidia/cuda:[\d.]+-devel-\S+ AS cuda", text)
    assert "g++ python3-dev" in image
    assert "TENSORRT=torch-tensorrt" in image
    assert 'pip install -c constraints.txt ".[$TENSORRT,onnx' in image
    assert "HEALTHCHECK" in image
    (mount,) = services()["vtv-gpu"]["volumes"]
    assert f"VTV_CACHE={mount.partition(':')[2]}" in image


def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return loaded


def test_images_are_pinned_and_ports_are_this_machines() -> None:
    for name, service in services().items():
        assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name


def test_what_is_mounted_exists() -> None:
    mounts = [mount.split(":") for service in services().values() for mount in service.get("volumes", [])]
    folders = [source for source, *_ in mounts if source.startswith(".")]
    assert len(folders) == 3
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_the_services_find_each_other() -> None:
    composed = services()
    scraped, dcgm = yaml.safe_load(CONFIG.read_text())["scrape_configs"]
    (by_name,) = dcgm["dns_sd_configs"]
    assert composed[by_name["names"][0]]["ports"] == [f"127.0.0.1:{by_name['port']}:{by_name['port']}"]
    assert composed["vtv-gpu"]["networks"]["default"]["aliases"] == ["vtv"]
    assert scraped["static_configs"][0]["targets"] == ["vtv:8000"]
    assert composed["vtv"]["ports"] == ["127.0.0.1:8000:8000"]
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert composed["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    (provider,) = provisioned("dashboards/vtv.yml")["providers"]
    mounted = dict(mount.split(":")[1::-1] for mount in composed["grafana"]["volumes"])
    assert mounted[provider["options"]["path"]] == "./deploy/monitoring/grafana/dashboards"
    home = composed["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/vtv.json"


def provisioned(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((MONITORING / "grafana" / "provisioning" / name).read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard()["panels"]
    return found


def test_panels_are_described_measured_and_from_the_provisioned_source() -> None:
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    shown = [panel for panel in panels() if panel["type"] != "row"]
    assert len(shown) > 20
    for panel in shown:
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["type"] in ("table", "heatmap") or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": source["uid"]}
    for variable in dashboard()["templating"]["list"]:
        assert variable["datasource"]["uid"] == source["uid"]


def test_panels_fill_their_rows_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in panels()]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y
    assert all(a["y"] <= b["y"] for a, b in pairwise(places))


def test_panels_ask_dcgm_for_what_it_exports_by_default() -> None:
    """Names of default-counters.csv of dcgm-exporter 4."""
    asked = " ".join(target["expr"] for panel in panels() for target in panel.get("targets", []))
    assert set(re.findall(r"DCGM_\w+", asked)) == {
        "DCGM_FI_DEV_FB_USED",
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_XID_ERRORS",
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    }


@pytest.mark.parametrize("metric", CONTRACT)
def test_every_metric_of_the_contract_is_on_the_dashboard(metric: str) -> None:
    asked = " ".join(target["expr"] for panel in panels() for target in panel.get("targets", []))
    assert re.search(rf"\b{metric}(_bucket|_sum|_count)?\b", asked)
