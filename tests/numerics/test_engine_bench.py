"""`vtv bench engine` on a tiny model: every row is there, and counts what it says. No time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine import BASELINE, BUCKETS, interleave
from benchmarks.engine_calls import Calls
from cli.main import main as vtv
from engine.runtime import Engine

BENCH = ["bench", "engine", "--device", "cpu", "--seconds", "0"]


@pytest.mark.slow
def test_bench_reports_every_row(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engine.json"
    words = [*BENCH, "--model", str(tiny_model[0]), "--backend", "eager", "--backend", "eager:bfloat16"]
    assert vtv([*words, "--backend", "tensorrt", "--json", "-o", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text())
    baseline, *rows = report["rows"]
    assert [(row["name"], row["batch"]) for row in rows] == [
        (name, batch) for name in ("eager:float32", "eager:bfloat16") for batch in BUCKETS["cpu"]
    ]
    assert baseline["ratio"] == pytest.approx(1)
    # A quarter of the picture decoded, and nothing encoded by the tokenizer.
    assert rows[0]["gflop_per_image"] < baseline["gflop_per_image"] / 3
    assert report["ceiling_gflops"].keys() == {"float32", "bfloat16"}
    assert [costs["name"] for costs in report["costs"]] == ["eager:float32", "eager:bfloat16"]
    assert all(costs["graph_bytes"] == 0 for costs in report["costs"])
    assert report["not_measured"] == ["tensorrt: tensorrt runs on a GPU, not on cpu"]
    assert {"model", "device", "threads", "commit", "torch", "slots"} <= report["about"].keys()


@pytest.mark.slow
def test_bench_prints_a_table(tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vtv([*BENCH, "--model", str(tiny_model[0]), "--backend", "eager"]) == 0
    printed = capsys.readouterr().out
    assert BASELINE in printed
    assert "matrix-product ceiling" in printed
    assert "cold start s" in printed


def test_the_bare_program_is_the_plain_model(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    engine = Engine.load(tiny_model[0], slots=3, buckets=(2,), backend="eager", cache=tmp_path)
    calls = Calls(engine)
    assert np.array_equal(calls.bare()(), engine.zero_shot(calls.tiles, [0, 0]))
    assert not np.array_equal(calls.bare()(), calls.one_task(2)())


def test_nothing_to_measure_is_an_error(tiny_model: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert vtv([*BENCH, "--model", str(tiny_model[0]), "--backend", "tensorrt", "--backend", "eager:float3"]) == 2
    assert "float3 is not a type" in capsys.readouterr().err


def test_rows_are_interleaved() -> None:
    order: list[str] = []
    interleave({name: lambda name=name: order.append(name) for name in "abc"}, 0)
    assert order == list("abc") * 4


def test_a_missing_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vtv(["bench", "engine", "--device", "cpu", "--model", str(tmp_path)]) == 2
    assert "no model at" in capsys.readouterr().err
