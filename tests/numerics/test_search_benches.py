"""The benches of searches: what they time is what they say, and their tables; at sizes that take seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts import build, job, teach
from artifacts.evaluation.metrics import mse
from artifacts.forward import run_logits
from artifacts.search.run import Search
from artifacts.search.settings import method_settings
from artifacts.store.folder import Store
from artifacts.tasks import TASKS
from benchmarks import search as bench
from cli.main import main
from engine.checkpoint import load_model
from engine.program import Scope


def test_the_public_samples_loss_is_that_of_the_whole_canvas(tiny_model: tuple[Path, str]) -> None:
    model = load_model(tiny_model[0])[0]
    train = bench._episodes()
    run = Search(model, TASKS["colorization"], bench.random_values(model), method_settings("reinforce"))
    sample = run.sample(1)
    tile = model.geometry.query_tile(train.query[:1])
    with torch.inference_mode():
        planes = model.normalise(torch.from_numpy(tile).permute(0, 3, 1, 2).float() / 255)
        codes = model.logits("zero_shot", planes, *run.edits(sample.bool())).argmax(-1)
        whole = model.decode("zero_shot", model.vae.codebook[codes], Scope.CANVAS)
        answer = (model.answer_cell(whole) * 255).byte().permute(0, 2, 3, 1).numpy()
    assert run_logits(model, "zero_shot", tile, run.edits(sample.bool())).shape == (1, 49, 64)
    assert bench.PublicSample(run, train)._loss(sample) == pytest.approx(mse(answer, train.answer[:1])[0], rel=1e-4)


@pytest.mark.slow
def test_bench_search(tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["bench", "search", "--model", str(tiny_model[0]), "--samples", "4", "--seconds", "0"]
    assert main([*words, "--json", "-o", str(tmp_path / "out.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert [row["samples"] for row in report["rows"]] == [1, 4, 4, 16]
    assert report["rows"][0]["ratio"] == 1
    assert all(row["ms_per_sample"] > 0 for row in report["rows"])
    assert main(words) == 0
    assert "ms/sample" in capsys.readouterr().out


@pytest.mark.slow
def test_bench_scopes(
    tiny_model: tuple[Path, str], tiny_store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On whatever the store holds."""
    store = Store(tmp_path)
    for name in ("identity", "inpaint"):
        store.publish(Store(tiny_store).path_of(Store(tiny_store).hash_of(name)))
    words = ["bench", "scopes", "--model", str(tiny_model[0]), "--store", str(tmp_path), "--episodes", "2", "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["task"], row["metric"]) for row in report["rows"]] == [("identity", "mse"), ("inpaint", "mse")]
    assert set(report["rows"][0]["decoded"]) == set(report["ms_an_image"]) == {"canvas", "answer"}


@pytest.mark.slow
def test_bench_methods(
    tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in {"CANDIDATE_PROMPTS": 4, "SEARCH_EPISODES": 10, "VALIDATION_EPISODES": 2}.items():
        monkeypatch.setattr(job, name, count)
    monkeypatch.setattr(build, "KEPT_PROMPTS", 2)
    words = ["bench", "methods", "--model", str(tiny_model[0]), "--task", "inpaint", "--episodes", "2"]
    words += ["--work", str(tmp_path), "--method", "all", "--method", "causal"]
    assert main([*words, "--json"]) == 0
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert set(rows) == {"one-shot", "zero-shot, no vector", "copy the input", "all", "causal"}
    variables = 2 * 2 * 2 + 1 * 2 * 3
    assert rows["causal"]["evaluations"] == 10 * (1 + 2 * variables)
    assert rows["all"]["evaluations"] == 0
    assert rows["one-shot"]["evaluations"] is None
    made = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert main(words) == 0
    assert "| inpaint (mse) | causal |" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == made


@pytest.mark.slow
def test_bench_teach(
    tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teach, "KEPT_PROMPTS", 2)
    words = ["bench", "teach", "--model", str(tiny_model[0]), "--pairs", "2", "--unseen", "3", "--json"]
    code = main(words)
    report = json.loads(capsys.readouterr().out)
    assert (report["pairs"], report["unseen"]) == (2, 3)
    floors = [floor["mean"] for floor in report["floors"].values()]
    assert len(floors) == 3
    assert code == (0 if report["taught"]["mean"] < min(floors) else 1)
    assert np.isfinite(floors).all()
