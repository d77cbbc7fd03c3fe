"""`vtv bench load`: against a server of its own and against a running one."""

import json
from pathlib import Path

import pytest

from benchmarks.load import main
from tests.support import ServerProcess


def test_it_starts_a_server_and_sets_it_against_the_engine(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "load.json"
    where = ["--model", str(tiny_model[0]), "--store", str(tiny_store), "--backend", "eager", "-o", str(written)]
    assert main([*where, "--concurrency", "1,4", "--seconds", "0.3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(written.read_text()) == report
    assert [row["concurrency"] for row in report["rows"]] == [1, 4]
    assert all(row["requests"] > 0 and row["errors"] == 0 for row in report["rows"])
    assert report["served_over_raw"] > 0
    assert len(report["tasks"]) == 5


def test_it_loads_a_running_server(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--url", server.url, "--task", "identity", "--concurrency", "2", "--seconds", "0.2"]
    assert main(asked) == 0
    assert "requests/s" in capsys.readouterr().out


def test_failed_requests_fail_the_run(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", server.url, "--task", "nonesuch", "--concurrency", "1", "--seconds", "0.1"]) == 1


def test_no_server_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:1", "--seconds", "0.1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
