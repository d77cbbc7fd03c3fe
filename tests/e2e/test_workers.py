"""Two processes started by torchrun make the same means and the same artifacts as one, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support import inverted_pairs

PATIENCE = 600.0
"""Seconds: on a busy machine scoring takes long."""
TOGETHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cli"]
ALONE = ["-m", "cli"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, tiny_model: tuple[Path, str]) -> list[str]:
    """Options of a task on a folder of pairs; an odd number of them, so that shares differ."""
    root = inverted_pairs(tmp_path_factory.mktemp("data") / "pairs", 9)
    return ["--dataset", str(root), "--task", "inpaint", "--model", str(tiny_model[0])]


def vtv(processes: list[str], *words: str) -> str:
    """Run a command to its end; returns standard error."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *processes, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def means(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Collected by one process and by two."""
    folder = tmp_path_factory.mktemp("means")
    paths = folder / "alone", folder / "together"
    for processes, path in zip((ALONE, TOGETHER), paths, strict=True):
        told = vtv(processes, "collect", *words, "-o", str(path))
        assert told.count("means over the best") == 1, "one process tells"
    return paths


@pytest.mark.slow
def test_means(means: tuple[Path, Path]) -> None:
    alone, together = (load_file(path) for path in means)
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        assert torch.equal(together[name], values), name


@pytest.mark.slow
@pytest.mark.parametrize("method", ["reinforce", "gates"])
def test_searched_artifacts(words: list[str], means: tuple[Path, Path], method: str, tmp_path: Path) -> None:
    search = ["search", *words, "--means", str(means[0]), "--method", method]
    search += ["--steps", "4", "--samples", "5", "--regularisation", "0.01"]
    for processes, name in ((ALONE, "alone"), (TOGETHER, "together")):
        vtv(processes, *search, "-o", str(tmp_path / name))
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "together"}
    alone, together = (load_file(tmp_path / name) for name in ("alone", "together"))
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        assert torch.equal(together[name], values), name
