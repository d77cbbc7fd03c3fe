"""`vtv bench classification`: both questions answered in one run."""

import json
from pathlib import Path

import pytest

from cli.main import main


@pytest.mark.slow
def test_it_answers_both_questions(tower_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "bench.json"
    sizes = ["--tasks", "3", "--classes", "4", "--clients", "2", "--seconds", "0.2", "--turns", "2"]
    where = ["--tower", str(tower_folder), "--backend", "eager", "-o", str(written)]
    assert main(["bench", "classification", *sizes, *where]) == 0
    shown, told = capsys.readouterr().out, json.loads(written.read_text())
    assert (told["tasks"], told["classes"]) == (3, 4)
    assert told["engine_cost"] == pytest.approx(told["engine_ms"]["all tasks"] / told["engine_ms"]["one task"] - 1)
    assert told["http"].keys() == {"painted", "classified", "one task", "all tasks"}
    assert all(rate["requests_per_second"] > 0 and len(rate["turns"]) == 2 for rate in told["http"].values())
    assert f"{told['over_painted']:.2f} x" in shown
