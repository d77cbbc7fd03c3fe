"""`vtv bench load`: against a server of its own and against a running one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from tests.support import ServerProcess

Capture = pytest.CaptureFixture[str]


def report_of(capsys: Capture, arguments: Sequence[str]) -> dict[str, Any]:
    assert main(["bench", "load", *arguments, "--seconds", "0.3", "--warm-up", "0.1", "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.mark.slow
def test_it_starts_a_server_and_sets_it_against_the_engine(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: Capture
) -> None:
    written = tmp_path / "load.json"
    where = ["--model", str(tiny_model[0]), "--store", str(tiny_store), "--backend", "eager", "-o", str(written)]
    report = report_of(capsys, [*where, "--concurrency", "1,4"])
    assert json.loads(written.read_text()) == report
    assert [row["clients"] for row in report["rows"]] == [1, 4]
    assert all(row["requests"] > 0 and not row["errors"] for row in report["rows"])
    assert report["served_over_raw"] > 0
    assert report["one_client"]["step_ms"] > 0 < report["one_client"]["codec_ms"]
    assert report["metrics_disagree"] == {}
    assert len(report["tasks"]) == 5


def test_tensors_in_and_out(server: ServerProcess, capsys: Capture) -> None:
    report = report_of(capsys, ["--url", server.url, "--task", "identity", "--tensors", "3", "--concurrency", "2"])
    assert report["tensor"] == [3, 112, 112, 3]
    assert report["images_per_request"] == 3
    assert report["rows"][0]["requests"] > 0
    assert not report["rows"][0]["errors"]


@pytest.mark.parametrize("arrivals", ["poisson", pytest.param("fixed", marks=pytest.mark.slow)])
def test_an_open_loop_of_mixed_tasks_and_sizes(server: ServerProcess, capsys: Capture, arrivals: str) -> None:
    mix = ["--task", "identity:3", "--task", "segmentation", "--side", "160", "--side", "700:0.1"]
    report = report_of(capsys, ["--url", server.url, *mix, "--rate", "20,40", "--arrivals", arrivals])
    assert [row["offered_per_second"] for row in report["rows"]] == [20, 40]
    assert all(set(row["latency_ms"]) == {"p50", "p90", "p95", "p99", "p99.9"} for row in report["rows"])
    assert report["metrics_disagree"] == {}
    assert len(report["image_bytes"]) == 2


@pytest.mark.slow
def test_a_sweep_writes_a_plot(server: ServerProcess, capsys: Capture, tmp_path: Path) -> None:
    plot = tmp_path / "load.png"
    asked = ["--url", server.url, "--task", "identity", "--concurrency", "4", "--sweep", "--plot", str(plot)]
    report = report_of(capsys, [*asked, "--bound-ms", "60000"])
    rates = [row["offered_per_second"] for row in report["rows"]]
    assert rates == sorted(rates)
    assert report["knee_per_second"] == rates[-1]  # nothing takes a minute
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_table(server: ServerProcess, capsys: Capture) -> None:
    asked = ["--url", server.url, "--task", "identity", "--concurrency", "2", "--seconds", "0.2"]
    assert main(["bench", "load", *asked]) == 0
    shown = capsys.readouterr().out
    assert "p99.9 ms" in shown
    assert "/metrics: agrees with every request" in shown


def test_failed_requests_fail_the_run(server: ServerProcess, capsys: Capture) -> None:
    asked = ["--url", server.url, "--task", "nonesuch", "--concurrency", "1", "--seconds", "0.1", "--json"]
    assert main(["bench", "load", *asked]) == 1
    assert json.loads(capsys.readouterr().out)["rows"][0]["errors"].keys() == {"404"}


def test_no_server_is_one_clear_line(capsys: Capture) -> None:
    assert main(["bench", "load", "--url", "http://127.0.0.1:1", "--seconds", "0.1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
