"""`vtv compile` fills a cache in which a server then finds everything."""

import json
from pathlib import Path

import pytest

from cli.main import main as vtv
from engine.backends import onnx_graph
from engine.network import ZeroShot
from engine.runtime import Engine
from engine.tower_network import TowerFeatures
from engine.tower_plan import TowerPlan


@pytest.mark.slow
def test_what_was_compiled_is_not_compiled_again(
    tiny_model: tuple[Path, str],
    tower_folder: Path,
    engine_cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    words = ["compile", "--model", str(tiny_model[0]), "--backend", "openvino", "--buckets", "1,2", "--device", "cpu"]
    assert vtv([*words, "--tower", str(tower_folder), "-o", str(engine_cache), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["model"], entry["backend"], entry["buckets"]) == (tiny_model[1], "openvino", [1, 2])
    assert entry["bytes"] > 100_000

    def refuse(network: ZeroShot | TowerFeatures, *_: object) -> None:
        raise AssertionError(f"{network.name} is exported again")

    monkeypatch.setattr(onnx_graph, "export_apart", refuse)
    Engine.load(tiny_model[0], buckets=(4,), slots=3, backend="openvino", cache=engine_cache).warm_up()
    tower = TowerPlan(tower_folder, slots=3, backend="openvino", cache=engine_cache, precision="bfloat16")
    tower.build(lambda line: None).warm_up()


def test_eager_compiles_nothing(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engines"
    words = ["compile", "--model", str(tiny_model[0]), "--backend", "eager", "--buckets", "1", "--device", "cpu"]
    assert vtv([*words, "--tower", "none", "-o", str(out)]) == 0
    assert "eager in float32 on cpu, buckets [1]: 0 MB" in capsys.readouterr().out


def test_bad_words_are_refused(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compile", "--model", str(tiny_model[0]), "-o", str(tmp_path), "--device", "cpu"]
    assert vtv([*words, "--backend", "tensorrt"]) == 2
    assert "runs on a GPU, not on cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        vtv([*words, "--buckets", "1,two"])
