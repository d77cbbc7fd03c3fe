"""docs/tutorial.md: its commands, in order, in an empty folder; the search in a sixth of its steps."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from artifacts.paths import BUNDLED_MODEL
from tests.docs.examples import DOCS, examples, run
from tests.support import ServerProcess

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.needs("curl")
def test_the_tutorial_ends_with_a_served_task(tmp_path: Path, start_server: Callable[..., ServerProcess]) -> None:
    folder = tmp_path / "tutorial"
    folder.mkdir()
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, words in (("vtv", "-m cli "), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (commands / name).chmod(0o755)
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    *before, call = examples(DOCS / "tutorial.md")
    for example in before:
        run(example.command.replace("vtv teach", "vtv teach --steps 10"), folder, **environment)
    server = start_server(model=str(BUNDLED_MODEL), store=str(folder / "my-store"))
    run(call.command.replace("http://localhost:8000", server.url), folder, **environment)
    photo = Image.open(folder / "new/photo.jpg").convert("RGB")
    truth = np.asarray(ImageOps.invert(photo), np.float32)
    for name in ("answer.png", "served.png"):
        answer = np.asarray(Image.open(folder / name), np.float32)
        assert ((answer - truth) ** 2).mean() < truth.var()  # nearer than the truth's mean colour
