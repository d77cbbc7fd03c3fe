"""artifacts.infer.many: every picture once, whatever interrupts it, and what cannot be answered is said."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from artifacts.console import keep_quiet
from artifacts.errors import OfflineError
from artifacts.infer.files import output_names
from artifacts.infer.many import Request, Summary, answering_here, infer_many
from artifacts.infer.one import infer_file
from artifacts.infer.steps import Wanted
from cli.main import main
from tests.support import photo, wait_until

PICTURES = 24


def fill(folder: Path, count: int = PICTURES) -> Path:
    """A folder with pictures in two folders."""
    for index in range(count):
        path = folder / ("a" if index % 2 else "b/c") / f"{index:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(seed=index))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return fill(tmp_path / "pictures")


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]


def request(model: tuple[Path, str], store: Path, pictures: Path, output: Path, task: str, **more: str) -> Request:
    return Request(model[0], store, pictures, task, output, Wanted(**more), backend="eager")  # type: ignore[arg-type]


def infer(asked: Request) -> Summary:
    return infer_many(asked, keep_quiet, answering_here)


@pytest.mark.parametrize(
    ("task", "more"),
    [
        ("identity", {}),
        ("colorization", {"size": "original"}),
        ("segmentation", {"threshold": "auto"}),
        ("inpaint", {}),
        ("inpaint", {"size": "original"}),
    ],
)
def test_each_answer_is_what_the_picture_gets_alone(
    tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path, task: str, more: dict[str, str]
) -> None:
    output = tmp_path / "answers"
    summary = infer(request(tiny_model, tiny_store, pictures, output, task, **more))
    assert (summary.pictures, summary.answered, summary.skipped) == (PICTURES, PICTURES, [])
    for name in ("b/c/000", "a/007"):
        alone = tmp_path / "alone.png"
        infer_file(tiny_model[0], tiny_store, pictures / f"{name}.jpg", task, alone, Wanted(**more))  # type: ignore[arg-type]
        together = np.asarray(Image.open(output / f"{name}.png")).astype(int)
        assert np.abs(together - np.asarray(Image.open(alone))).max() <= 1
    entry = next(line for line in lines(output) if line["picture"] == "a/007.jpg")
    assert entry["output"] == "a/007.png"
    assert (entry["task"], entry["model"], entry["error"]) == (task, tiny_model[1], None)


def test_bad_pictures_are_listed_and_skipped(
    tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "a/001.jpg").write_bytes(b"no picture")
    (pictures / "a/cut.png").write_bytes(photo(file_format="PNG")[:200])
    Image.new("RGB", (40, 40), "white").save(pictures / "white.png")  # nothing to fill
    (pictures / "notes.txt").write_text("no picture, and not called one")
    os.mkfifo(pictures / "pipe.png")
    command = ["infer", str(pictures), "--task", "inpaint", "-o", str(tmp_path / "out"), "--backend", "eager"]
    command += ["--model", str(tiny_model[0]), "--store", str(tiny_store), "--json"]
    assert main(command) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"pictures": PICTURES + 2, "answered": PICTURES - 1, "skipped": 3}
    for name in ("a/001.jpg", "a/cut.png", "white.png"):
        assert f"skipped {name}: {name}" in told.err
    failed = {line["picture"]: line for line in lines(tmp_path / "out") if line["error"]}
    assert failed.keys() == {"a/001.jpg", "a/cut.png", "white.png"}
    assert all(line["output"] is None for line in failed.values())


def test_only_what_is_new_is_answered(
    tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path
) -> None:
    asked = request(tiny_model, tiny_store, pictures, tmp_path / "out", "identity")
    infer(asked)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    fill(pictures, PICTURES + 3)
    assert infer(asked).pictures == PICTURES + 3
    assert len(lines(tmp_path / "out")) == PICTURES + 3
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    other = request(tiny_model, tiny_store, pictures, tmp_path / "out", "inpaint")
    with pytest.raises(OfflineError, match="has answers of task identity, not inpaint: give another folder"):
        infer(other)


def test_a_line_that_was_cut_is_written_anew(
    tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path
) -> None:
    asked = request(tiny_model, tiny_store, pictures, tmp_path / "out", "identity")
    infer(asked)
    manifest = tmp_path / "out/manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    infer(asked)
    assert Counter(line["picture"] for line in lines(tmp_path / "out")).most_common(1)[0][1] == 1
    assert len(lines(tmp_path / "out")) == PICTURES


def test_what_would_mix_answers_up_is_refused(
    tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(OfflineError, match="lies among the pictures"):
        infer(request(tiny_model, tiny_store, pictures, pictures / "out", "identity"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OfflineError, match="holds no picture"):
        infer(request(tiny_model, tiny_store, tmp_path / "empty", tmp_path / "out", "identity"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/manifest.jsonl").write_text("a shopping list\n")
    with pytest.raises(OfflineError, match="is no manifest of vtv infer"):
        infer(request(tiny_model, tiny_store, pictures, tmp_path / "full", "identity"))


def test_no_two_pictures_share_an_answers_file() -> None:
    names = ["a/x.jpg", "a/x.png", "b/x.jpg", "y.webp"]
    assert output_names(names, ".png") == {
        "a/x.jpg": "a/x.jpg.png",
        "a/x.png": "a/x.png.png",
        "b/x.jpg": "b/x.png",
        "y.webp": "y.png",
    }


@pytest.mark.slow
def test_each_picture_is_answered_once_however_often_it_is_interrupted(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path
) -> None:
    """Killed or interrupted ten times, at moments that come as they come."""
    pictures, output = fill(tmp_path / "pictures", 600), tmp_path / "out"
    command = [sys.executable, "-m", "cli", "infer", str(pictures), "--task", "identity", "-o", str(output)]
    command += ["--backend", "eager", "--model", str(tiny_model[0]), "--store", str(tiny_store)]
    manifest, draw = output / "manifest.jsonl", np.random.default_rng(0)

    def written() -> int:
        return manifest.read_bytes().count(b"\n") if manifest.exists() else 0

    for turn in range(10):
        goal = written() + int(draw.integers(1, 40))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: written() >= goal, "some answers")  # noqa: B023
        time.sleep(float(draw.uniform(0, 0.05)))
        process.send_signal(signal.SIGINT if turn % 2 else signal.SIGKILL)
        assert process.wait(60) in (130, -signal.SIGKILL)
    assert written() < 600
    assert subprocess.run(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode == 0
    found = lines(output)
    assert sorted(line["picture"] for line in found) == sorted(
        path.relative_to(pictures).as_posix() for path in pictures.rglob("*.jpg")
    )
    assert sorted(line["output"] for line in found) == sorted(
        path.relative_to(output).as_posix() for path in output.rglob("*.png")
    )
