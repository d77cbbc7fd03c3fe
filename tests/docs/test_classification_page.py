"""docs/classification.md: its tutorial's commands, in order, in an empty folder."""

import json
import os
import sys
from pathlib import Path

import pytest

from artifacts.store.folder import Store
from tests.docs.examples import DOCS, examples, run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "tutorial"
    made.mkdir()
    return made


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which `vtv` and `python` are this checkout's."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, words in (("vtv", "-m cli "), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": path, "HOME": str(tmp_path)}


@pytest.mark.slow
def test_the_one_step_needs_no_sentence_encoder(folder: Path, environment: dict[str, str]) -> None:
    every = examples(DOCS / "classification.md")
    for example in (every[0], every[-1]):
        run(example.command, folder, **environment)
    assert len(Store(folder / "my-store").read_residual("treatment-again").value.labels) == 4


@pytest.mark.slow
@pytest.mark.needs("sentence-encoder")
def test_the_tutorial_ends_with_a_published_task(folder: Path, environment: dict[str, str]) -> None:
    for example in examples(DOCS / "classification.md"):
        run(example.command, folder, **environment)
    published = Store(folder / "my-store").read_residual("treatment")
    assert len(published.value.labels) == 4
    metric = json.loads(published.metadata["metric"])
    assert metric["episodes"] == 32
    again = Store(folder / "my-store").read_residual("treatment-again")
    assert again.value.labels == published.value.labels
    assert json.loads(again.metadata["metric"])["episodes"] == 16
    assert metric["value"] > 0.5  # chance is a quarter
