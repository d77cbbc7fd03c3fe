"""The import rules of pyproject.toml hold: no package imports what stands above it, and no two import each other."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_go_down() -> None:
    # In a process of its own: import-linter's logging configuration silences every logger that there is.
    command = [Path(sys.executable).with_name("lint-imports"), "--config", "pyproject.toml", "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout.partition("Broken contracts")[2] or linted.stderr
