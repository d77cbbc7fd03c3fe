"""`vtv bench engine` on a tiny model: every row is there, and counts what it says. No time is asserted."""

import json
from pathlib import Path

import pytest

from artifacts.cli import main as vtv
from benchmarks.engine import BASELINE, BATCHES, interleave


def test_bench_reports_every_row(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engine.json"
    assert vtv(["bench", "engine", "--model", str(tiny_model[0]), "--seconds", "0", "--json", "-o", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text())
    rows = {row["name"]: row for row in report["rows"]}
    assert [row["batch"] for name, row in rows.items() if name.startswith("engine")] == list(BATCHES)
    assert rows[BASELINE]["ratio"] == pytest.approx(1)
    # A quarter of the picture decoded, and nothing encoded by the tokenizer.
    assert rows["engine, 1"]["gflop_per_image"] < rows[BASELINE]["gflop_per_image"] / 3
    assert rows["engine, 16"]["gflop_per_image"] == pytest.approx(rows["no overrides"]["gflop_per_image"])
    assert {"model", "device", "threads", "commit", "torch"} <= report["about"].keys()


def test_bench_prints_a_table(tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vtv(["bench", "engine", "--model", str(tiny_model[0]), "--seconds", "0"]) == 0
    printed = capsys.readouterr().out
    assert BASELINE in printed
    assert "matrix-product ceiling" in printed


def test_rows_are_interleaved() -> None:
    order: list[str] = []
    interleave({name: lambda name=name: order.append(name) for name in "abc"}, 0)
    assert order == list("abc") * 4


def test_a_missing_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vtv(["bench", "engine", "--model", str(tmp_path)]) == 2
    assert "no model at" in capsys.readouterr().err
