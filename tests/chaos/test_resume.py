"""Offline jobs that are interrupted, by a real signal to a real process, end in what an undisturbed run gives."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from artifacts.store.artifact import load_artifact
from tests.support import inverted_pairs

PATIENCE = 600.0
"""Seconds: on a busy machine scoring takes long."""
UNLIKE = ("created", "seconds")
"""Metadata that no two runs share."""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, tiny_model: tuple[Path, str]) -> list[str]:
    """Options of a task on a folder of pairs; this one has few answer settings to try."""
    root = inverted_pairs(tmp_path_factory.mktemp("data") / "pairs", 8)
    return ["--dataset", str(root), "--task", "inpaint", "--model", str(tiny_model[0])]


def start(*words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cli", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # Whoever runs the tests in the background may ignore SIGINT, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed)


def finish(*words: str) -> str:
    """Run to the end; returns standard error."""
    process = start(*words)
    try:
        errors = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return errors


def interrupt(line: str, *words: str) -> None:
    """Run until a line is told that starts so, then send SIGINT."""
    process = start(*words)
    assert process.stderr is not None
    try:
        told = ""
        while line not in told:
            told = process.stderr.readline()
            assert told, f"ended without {line!r}"
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    assert process.returncode == 130, rest
    assert rest.splitlines()[-1] == "vtv: interrupted, run the same command again to go on"


@pytest.mark.slow
def test_an_interrupted_search_resumes_to_the_same_artifact(words: list[str], tmp_path: Path) -> None:
    means, whole, resumed = (str(tmp_path / name) for name in ("means", "whole", "resumed"))
    finish("collect", *words, "-o", means)
    search = ["search", *words, "--means", means, "--steps", "40", "--samples", "2", "--images", "1"]
    search += ["--evaluate-every", "30"]
    interrupt("inpaint: step 20/40", *search, "-o", resumed)
    assert not Path(resumed).exists()
    assert "goes on after step" in finish(*search, "-o", resumed)
    assert "goes on" not in finish(*search, "-o", whole)
    assert {path.name for path in tmp_path.iterdir()} == {"means", "whole", "resumed"}
    first, second = load_file(whole), load_file(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    about = [load_artifact(Path(path)).metadata for path in (whole, resumed)]
    assert [name for name in about[0] if about[0][name] != about[1][name] and name not in UNLIKE] == []
    assert about[0]["evaluations"] == "80"
