"""The script for the first day with a GPU, every step of it on the processor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_dry_run_takes_every_step_and_reports(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    command = ["benchmarks/gpu_day.sh", "--dry-run", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["steps"]) >= {"compile-cold", "compile-warm", "tests", "engine", "load", "search", "train"}
    assert {step["exit"] for step in summary["steps"].values()} == {0}
    assert set(summary["reports"]) == {
        "engine.json",
        "engine-large-answer.json",
        "engine-large-canvas.json",
        "load.json",
        "search.json",
    }
    assert summary["training_steps_per_second"] > 0
    canvas = json.loads((tmp_path / "engine-large-canvas.json").read_text())
    assert canvas["about"]["scope"] == "canvas"
    assert json.loads((tmp_path / "compile-warm.log").read_text().splitlines()[-1])["backend"] == "eager"
