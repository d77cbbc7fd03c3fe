"""Every expression of the dashboard and of the rules, evaluated by a real Prometheus over a running server."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from artifacts.store.folder import Store
from tests.monitoring.prometheus import Prometheus, dashboard, rules
from tests.support import ANSWERS, ServerProcess, make_artifact, photo, wait_until

pytestmark = [pytest.mark.needs("prometheus"), pytest.mark.slow]
_COMPARISON = re.compile(r" (==|!=|>=|<=|>|<) ")


@pytest.fixture(scope="module")
def busy(
    start_server: Callable[..., ServerProcess], tiny_model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server with two slots for four tasks, so that the bank changes, and an artifact that it refuses."""
    directory = tmp_path_factory.mktemp("live")
    store = Store(directory / "store")
    for seed, task in enumerate(ANSWERS):
        make_artifact(directory / task, task, tiny_model[1] if task != "inpaint" else "f" * 64, seed)
        store.publish(directory / task)
    return start_server(store=str(store.root), slots="3")


@pytest.fixture(scope="module")
def prometheus(busy: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    prometheus = Prometheus(busy.url, tmp_path_factory.mktemp("prometheus"))
    yield prometheus
    prometheus.stop()


def ask(server: ServerProcess) -> None:
    """A little of everything."""
    for task in (*ANSWERS, "nonesuch"):
        server.infer(task, photo())
    server.infer("identity", b"no image")
    files = {name: photo() for name in ("image", "example_input", "example_output")}
    server.client.post("/infer", files=files)


def panel_expressions() -> list[str]:
    """As Grafana would send them; but for what DCGM exports, which there is beside a GPU only."""
    board = dashboard()
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked = [expression for expression in asked if "DCGM_" not in expression]
    asked += [note["expr"] for note in board["annotations"]["list"]]
    for name, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$task", ".*")):
        asked = [expression.replace(name, value) for expression in asked]
    return [_as_value(expression) for expression in asked]


def rule_expressions() -> list[str]:
    return [_as_value(rule["expr"]) for rule in rules()]


def _as_value(expression: str) -> str:
    """Comparisons give 0 or 1 in place of nothing or something: so an alert that rests can be seen to work."""
    return _COMPARISON.sub(r" \1 bool ", expression)


@pytest.mark.parametrize("expressions", [panel_expressions, rule_expressions])
def test_every_expression_has_a_value_under_load(
    busy: ServerProcess, prometheus: Prometheus, expressions: Callable[[], list[str]]
) -> None:
    waiting = expressions()
    assert len(waiting) > 10

    def all_seen() -> bool:
        ask(busy)
        waiting[:] = [expression for expression in waiting if not prometheus.values(expression)]
        return not waiting

    try:
        wait_until(all_seen, "a value of every expression")
    except AssertionError:
        pytest.fail(f"no value: {waiting}")


def test_prometheus_reads_what_the_server_says(busy: ServerProcess, prometheus: Prometheus) -> None:
    ask(busy)
    answered = busy.metric("vtv_requests_total", code="200")
    wait_until(lambda: sum(prometheus.values('vtv_requests_total{code="200"}')) == answered, "the same count")
    (target,) = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_the_rules_are_loaded_and_healthy(busy: ServerProcess, prometheus: Prometheus) -> None:
    def health() -> set[str]:
        groups = prometheus.get("rules")["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert len(found) == len(rules())
        return {rule["health"] for rule in found}

    wait_until(lambda: "unknown" not in health(), "an evaluation of every rule")
    assert health() == {"ok"}


def test_an_artifact_refused_at_start_up_raises_its_alert(prometheus: Prometheus) -> None:
    def firing() -> list[str]:
        return [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]]

    wait_until(lambda: "VTVArtifactRefused" in firing(), "the alert")
    assert "VTVEngineNotReady" not in firing()
    assert "VTVDown" not in firing()


def test_the_metrics_page_has_no_complaints(busy: ServerProcess) -> None:
    """promtool's lint: names, units, help texts."""
    text = busy.client.get("/metrics").text
    linted = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stderr) == (0, "")
