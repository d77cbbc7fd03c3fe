"""Model directories: what is saved is what is loaded, and anything else is refused by name."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.checkpoint import DESCRIPTION, WEIGHTS, load_model, model_fingerprint, save_model
from engine.config import MaeConfig, ModelConfig, VqganConfig
from engine.errors import CheckpointError
from engine.model import MaeVqgan
from tests.support import TINY


@pytest.fixture
def saved(tmp_path: Path) -> tuple[MaeVqgan, str, Path]:
    torch.manual_seed(1)
    model = MaeVqgan(TINY)
    return model, save_model(model, tmp_path, torch.float32), tmp_path


def test_round_trip(saved: tuple[MaeVqgan, str, Path]) -> None:
    model, mark, directory = saved
    loaded, read = load_model(directory)
    assert read == mark == model_fingerprint(model) == model_fingerprint(loaded)
    assert loaded.config == TINY
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    pixels = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(loaded.logits("zero_shot", pixels), model.logits("zero_shot", pixels))
        assert torch.equal(loaded.normalise(pixels), model.normalise(pixels))


def test_half_precision_has_the_fingerprint_of_what_a_reader_gets(tmp_path: Path) -> None:
    torch.manual_seed(2)
    mark = save_model(MaeVqgan(TINY), tmp_path)
    loaded, _ = load_model(tmp_path)
    assert model_fingerprint(loaded) == mark
    assert all(tensor.dtype == torch.float32 for tensor in loaded.state_dict().values())


def test_an_altered_file_is_refused(saved: tuple[MaeVqgan, str, Path]) -> None:
    path = saved[2] / WEIGHTS
    tensors = load_file(path)
    tensors["mae.norm.bias"][0] += 1
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="fingerprint"):
        load_model(saved[2])


def test_missing_and_unknown_tensors_are_listed(saved: tuple[MaeVqgan, str, Path]) -> None:
    from engine.checkpoint import fingerprint

    directory = saved[2]
    complete = load_file(directory / WEIGHTS)
    description = json.loads((directory / DESCRIPTION).read_text())
    for change, reason in (
        ({"mae.norm.bias": None}, "1 tensors are missing: mae.norm.bias"),
        ({"mae.extra": torch.zeros(1)}, "1 tensors are unknown: mae.extra"),
        ({"mae.norm.bias": torch.zeros(3)}, "of another shape: mae.norm.bias"),
    ):
        tensors = {name: tensor for name, tensor in (complete | change).items() if tensor is not None}
        save_file(tensors, directory / WEIGHTS)
        description["fingerprint"] = fingerprint(tensors)
        (directory / DESCRIPTION).write_text(json.dumps(description))
        with pytest.raises(CheckpointError, match=reason):
            load_model(directory)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model at"):
        load_model(tmp_path)
    for text, reason in (("{", "cannot be read"), ("[]", "not in format"), ('{"format": 99}', "not in format")):
        (tmp_path / DESCRIPTION).write_text(text)
        with pytest.raises(CheckpointError, match=reason):
            load_model(tmp_path)


def test_truncated_weights_are_refused(saved: tuple[MaeVqgan, str, Path]) -> None:
    path = saved[2] / WEIGHTS
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(saved[2])


def test_configurations_that_cannot_be_are_refused() -> None:
    with pytest.raises(CheckpointError, match="head counts"):
        MaeConfig(width=100, heads=16)
    with pytest.raises(CheckpointError, match="one code per 8 px"):
        ModelConfig("x", MaeConfig(), VqganConfig(ch_mult=(1, 1, 2, 4)))
    with pytest.raises(CheckpointError, match="predicts 512 codes"):
        ModelConfig("x", MaeConfig(codes=512), VqganConfig())
    with pytest.raises(CheckpointError, match="does not describe"):
        ModelConfig.from_json({"name": "x"})
