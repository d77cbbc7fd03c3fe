"""Files of the wrong kind, given to the commands that read them: one line that names the file, never a traceback."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from artifacts.errors import TrainingError
from cli.main import main
from training.checkpoint import load_state, save_state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: tuple[Path, str]) -> Path:
    """Where the calls are made, with what they read."""
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "bare", "list", "latin", "wrong", "text", "golden/tiny", "voc/ImageSets/Segmentation"):
        Path(name).mkdir(parents=True)
    Path("file.json").write_text('{"a": 1}')
    Path("bare/model.json").write_text('{"format": 1}')
    Path("list/model.json").write_text("[1]")
    Path("latin/model.json").write_bytes(b"\xff\xfe")
    for part in ("tokenizer", "mae"):
        torch.save([1], f"wrong/{part}.pt")
        Path(f"text/{part}.pt").write_text("text")
    for split in ("train", "val"):
        Path(f"voc/ImageSets/Segmentation/{split}.txt").touch()
    save_file({"a": torch.zeros(2)}, "means", {"schema": "vtv-means-2"})
    np.savez("golden/tiny/case1_oneshot.npz", x=np.zeros(2))
    Path("tiny").symlink_to(tiny_model[0])
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("bench engine --model bare", "bare/model.json is not in format 1"),
        ("bench engine --model list", "list/model.json is not in format 1"),
        ("bench engine --model latin", "latin/model.json cannot be read"),
        ("publish file.json --store s --model tiny", "file.json is not an artifact"),
        ("taskness file.json -o out", "file.json cannot be read"),
        ("taskness means -o out", "means is not a means file of this version"),
        ("evaluate --store empty --model tiny --episodes 1", "empty holds no task that demo can score"),
        ("compose segmentation inpaint -o both --evaluate lowlight_inpaint --direct file.json", "is not an artifact"),
        ("export --run empty -o out", "empty lacks tokenizer.pt or mae.pt"),
        ("export --run wrong -o out", "wrong/tokenizer.pt is not a checkpoint of `vtv train`"),
        ("export --run text -o out", "text/tokenizer.pt cannot be read as a checkpoint"),
        ("train mae --dataset voc -o wrong --minutes 1", "wrong/tokenizer.pt is not a checkpoint"),
        ("train tokenizer --dataset voc -o out --minutes 1", "lists no picture for training"),
        ("data demo --root empty -o out", "no usable foreground or no usable background"),
        ("bench codecs --image file.json", "file.json is not a picture that can be read"),
        ("bench engine --model empty", "no model at empty: model.json is missing"),
        ("bench peers --kind real --peer vtv --model empty", "no model at empty: model.json is missing"),
    ],
)
def test_a_line_that_names_the_file(words: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(words)) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert (told.out, told.err.count("\n")) == ("", 1)


def test_golden_files_without_canvases_hold_nothing_to_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", "golden", "--json"]) == 1
    cases = {case["case"]: case["skipped"] for case in json.loads(capsys.readouterr().out)["cases"]}
    assert cases["case1_oneshot"] == "it holds nothing to check"


def test_a_run_goes_on_with_a_model_of_its_own_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "mae.pt"
    save_state(path, {"model": {}, "config": {"width": 1}})
    assert load_state(path, {"width": 1}) == {"model": {}, "config": {"width": 1}}
    with pytest.raises(TrainingError, match="another --size"):
        load_state(path, {"width": 2})
