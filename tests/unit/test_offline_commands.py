"""The offline commands end to end on a tiny model and a folder of pairs, at counts that take seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts import build, job
from artifacts.store.artifact import load_artifact
from artifacts.store.folder import Store
from cli.main import main


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    draw = np.random.default_rng(0)
    for folder in ("input", "output"):
        (root / folder).mkdir()
    for index in range(8):
        cell = draw.integers(0, 256, (111, 111, 3), dtype=np.uint8)
        Image.fromarray(cell).save(root / f"input/{index}.png")
        Image.fromarray(255 - cell).save(root / f"output/{index}.png")
    return root


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in {"CANDIDATE_PROMPTS": 4, "SEARCH_EPISODES": 4, "VALIDATION_EPISODES": 2}.items():
        monkeypatch.setattr(job, name, count)
    monkeypatch.setattr(build, "KEPT_PROMPTS", 2)


def test_collect_search_evaluate(
    tiny_model: tuple[Path, str], pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ["--dataset", str(pairs), "--task", "negative", "--model", str(tiny_model[0])]
    means, vector = str(tmp_path / "means"), tmp_path / "vector"
    assert main(["collect", *task, "-o", means]) == 0
    gates = ["--method", "gates", "--objective", "token", "--steps", "2", "--prune", "0.1", "--granularity", "head"]
    assert main(["search", *task, *gates, "--means", means, "-o", str(vector)]) == 0
    told = load_artifact(vector, tiny_model[1]).metadata
    assert [told[name] for name in ("method", "objective", "prune", "granularity")] == ["gates", "token", "0.1", "head"]
    assert main(["evaluate", *task, "--vector", str(vector), "--episodes", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["task"] == "negative"


def test_a_build_resumes_what_it_would_do_again(tiny_model: tuple[Path, str], pairs: Path, tmp_path: Path) -> None:
    words = ["build", "--dataset", str(pairs), "--task", "negative", "--model", str(tiny_model[0]), "--steps", "1"]
    words += ["--work", str(tmp_path / "work"), "--store", str(tmp_path / "store")]
    store = Store(tmp_path / "store")
    assert main(words) == 0
    first = store.hash_of("negative")
    assert main(words) == 0
    assert store.hash_of("negative") == first
    assert main([*words, "--method", "gates"]) == 0
    assert store.read("negative").metadata["method"] == "gates"


def test_words_that_do_not_go_together(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--dataset", str(pairs), "--store", str(tmp_path)]) == 2
    assert "name it with --task" in capsys.readouterr().err
