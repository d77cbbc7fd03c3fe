"""Official files in, our model directory out, with the public code's numbers; anything else refused by name."""

import argparse
import json
import os
import shutil
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml  # type: ignore[import-untyped]

from cli.main import main as vtv
from engine.checkpoint import load_model
from engine.errors import CheckpointError
from engine.mae import sincos_table
from parity.forward import program_input
from parity.weights import POSITIONS, SIZES, synthetic
from training.import_checkpoint import import_checkpoint

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
KEYS = json.loads((GOLDEN / "state_dict_keys_tiny.json").read_text())
YAML = {
    "model": {
        "target": "taming.models.vqgan.VQModel",
        "params": {
            "embed_dim": 64,
            "n_embed": 1024,
            "ddconfig": {k: v for k, v in KEYS["config"]["vqgan"].items() if k not in ("embed_dim", "n_embed")},
        },
    }
}


def mae_tensors() -> dict[str, torch.Tensor]:
    out = {}
    for entry in KEYS["mae_checkpoint"]["model"]:
        key, shape = entry["key"], tuple(entry["shape"])
        out[key] = sincos_table(shape[2], 14) if key in POSITIONS else torch.from_numpy(synthetic(key, shape))
    return out


def vqgan_tensors() -> dict[str, torch.Tensor]:
    """As a training run leaves them: what the model uses, and loss networks; smaller ones, for they are dropped."""
    out: dict[str, torch.Tensor] = {}
    for entry in KEYS["vqgan_last_ckpt"]["state_dict"]:
        key, shape = entry["key"], tuple(entry["shape"])
        out[key] = torch.from_numpy(synthetic(f"vae.{key}", shape)) if entry["used"] else torch.zeros(2)
    return out


class Files:
    """The three official files in a folder; fields of `mae` and `vqgan` may be changed before `write`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "model"
        self.mae, self.vqgan = mae_tensors(), vqgan_tensors()
        self.yaml: Any = json.loads(json.dumps(YAML))

    def write(self) -> tuple[Path, Path, Path]:
        mae, vqgan, config = (self.folder / name for name in ("checkpoint-1000.pth", "last.ckpt", "model.yaml"))
        optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
        arguments = argparse.Namespace(model="mae_vit_tiny", lr=1e-4)
        torch.save({"model": self.mae, "optimizer": optimizer, "epoch": 1000, "scaler": {}, "args": arguments}, mae)
        callbacks = {callback_class(): {"best_model_path": "somewhere"}}
        top = {"epoch": 1, "global_step": 2, "pytorch-lightning_version": "1.0.8", "callbacks": callbacks}
        torch.save(top | {"optimizer_states": [], "lr_schedulers": [], "state_dict": self.vqgan}, vqgan)
        config.write_text(yaml.safe_dump(self.yaml))
        return mae, vqgan, config

    def convert(self) -> str:
        return import_checkpoint(*self.write(), self.out)


def callback_class() -> type:
    """A class that lives in a module no reader of the file has, used as a key, as Lightning 1.0 writes it."""
    return sys.modules["pytorch_lightning.callbacks.model_checkpoint"].ModelCheckpoint  # type: ignore[no-any-return]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Files(tmp_path)


def test_official_files_give_the_public_numbers(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    mae, vqgan, config = files.write()
    command = ["import-checkpoint", str(mae), "--vqgan", str(vqgan), "--vqgan-config", str(config)]
    assert vtv([*command, "-o", str(files.out)]) == 0
    model, _ = load_model(files.out)
    assert (model.config.mae, model.config.vqgan) == (SIZES["tiny"].mae, SIZES["tiny"].vqgan)
    with np.load(GOLDEN / "public" / "canvases.npz") as archive:
        canvas = archive["c0/canvas"]
    with np.load(GOLDEN / "public" / "tiny" / "case1_oneshot.npz") as archive:
        wanted, tokens = archive["c0/logits_cols"], archive["c0/tokens"]
    logits = model.logits("one_shot", program_input(model, "one_shot", canvas))[0]
    assert np.abs(logits[:, ::16].numpy() - wanted).max() < 2e-4
    assert np.array_equal(logits.argmax(-1).numpy(), tokens)


def test_the_mae_files_own_vqgan_wins(files: Files) -> None:
    files.vqgan["quantize.embedding.weight"] = torch.zeros(1024, 64)
    files.convert()
    assert torch.equal(load_model(files.out)[0].vae.codebook, files.mae["vae.quantize.embedding.weight"])


def test_the_vqgan_may_come_from_its_own_file_and_without_yaml(files: Files) -> None:
    files.mae = {key: tensor for key, tensor in files.mae.items() if not key.startswith("vae.")}
    mae, vqgan, _ = files.write()
    import_checkpoint(mae, vqgan, None, files.out)
    assert torch.equal(load_model(files.out)[0].vae.codebook, files.vqgan["quantize.embedding.weight"])


def test_missing_unknown_and_misshapen_tensors_are_listed(files: Files) -> None:
    bias = files.mae.pop("blocks.1.mlp.fc2.bias")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing: mae\.blocks\.1\.mlp\.fc2\.bias"):
        files.convert()
    files.mae |= {"blocks.1.mlp.fc2.bias": bias, "head.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 tensors are unknown: mae\.head\.weight"):
        files.convert()
    del files.mae["head.weight"]
    files.mae["blocks.1.mlp.fc2.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"another shape: mae\.blocks\.1\.mlp\.fc2\.bias"):
        files.convert()
    assert not files.out.exists()


def test_other_position_tables_are_refused(files: Files) -> None:
    files.mae["decoder_pos_embed"] = files.mae["decoder_pos_embed"].flip(1)
    with pytest.raises(CheckpointError, match="decoder_pos_embed is not the fixed"):
        files.convert()


def test_a_yaml_that_disagrees_or_describes_nothing_is_refused(files: Files) -> None:
    files.yaml["model"]["params"]["ddconfig"]["ch"] = 128
    with pytest.raises(CheckpointError, match="yaml states ch 128, its tensors have 32"):
        files.convert()
    files.yaml = {"model": {}}
    with pytest.raises(CheckpointError, match="does not describe a VQGAN"):
        files.convert()


def test_files_in_the_wrong_place_are_refused(files: Files) -> None:
    mae, vqgan, config = files.write()
    with pytest.raises(CheckpointError, match="cls_token is missing: not a MAE-VQGAN checkpoint"):
        import_checkpoint(vqgan, mae, config, files.out)
    with pytest.raises(CheckpointError, match="cannot be read as a torch checkpoint"):
        import_checkpoint(config, vqgan, config, files.out)
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_checkpoint(mae, vqgan, mae, files.out)


def test_a_width_of_no_published_model_needs_its_heads(files: Files) -> None:
    mae, vqgan, config = files.write()
    data = torch.load(mae, weights_only=False)
    data["model"]["cls_token"] = torch.zeros(1, 1, 96)
    torch.save(data, mae)
    with pytest.raises(CheckpointError, match="96 wide: state its number of heads with --heads"):
        import_checkpoint(mae, vqgan, config, files.out)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_the_same_model(files: Files, dtype: torch.dtype) -> None:
    files.mae = {key: tensor.to(dtype) for key, tensor in files.mae.items()}
    files.convert()
    model, _ = load_model(files.out)
    assert torch.equal(model.mae.blocks[0].attn.qkv.weight, files.mae["blocks.0.attn.qkv.weight"].float())  # type: ignore[union-attr]
    files.mae["pos_embed"] = files.mae["pos_embed"].roll(1, 1)
    with pytest.raises(CheckpointError, match="pos_embed is not the fixed"):
        files.convert()


def test_files_in_the_format_before_the_archive(files: Files) -> None:
    paths = files.write()
    for path in paths[:2]:
        torch.save(torch.load(path, weights_only=False), path, _use_new_zipfile_serialization=False)
    mark = import_checkpoint(*paths, files.out)
    assert mark == files.convert()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module."])
def test_names_that_wrappers_have_changed(files: Files, prefix: str) -> None:
    mark = files.convert()
    files.mae = {f"{prefix}{name}".replace("blocks.0.", "blocks.0._orig_mod."): v for name, v in files.mae.items()}
    assert files.convert() == mark
    files.mae |= {"cls_token": files.mae[f"{prefix}cls_token"]}
    with pytest.raises(CheckpointError, match="some tensors twice"):
        files.convert()


@pytest.mark.parametrize("key", ["state_dict", "module", "model_state_dict"])
def test_the_mae_under_the_names_of_other_trainers(files: Files, key: str) -> None:
    mark = files.convert()
    mae, vqgan, config = files.write()
    ordered = OrderedDict((f"model.{name}", value) for name, value in files.mae.items())
    ordered._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]  # as PyTorch's own have
    torch.save({key: ordered, "epoch": 3}, mae)
    torch.save({"state_dict": files.vqgan | {"model_ema.decay": torch.tensor(0.9)}}, vqgan)
    assert import_checkpoint(mae, vqgan, config, files.out) == mark


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cls_token", torch.tensor(1.0), r"cls_token has shape \[\]"),
        ("cls_token", torch.empty(1, 1, 0), r"cls_token has shape \[1, 1, 0\]"),
        ("pos_embed", torch.ones(5), r"pos_embed has shape \[5\]"),
        ("norm.weight", torch.full((64,), torch.nan), r"norm.weight holds other values"),
        ("norm.weight", torch.ones(64, dtype=torch.int32), r"norm.weight holds other values"),
    ],
)
def test_tensors_of_no_sense_are_refused_by_name(files: Files, name: str, value: torch.Tensor, message: str) -> None:
    files.mae[name] = value
    with pytest.raises(CheckpointError, match=message):
        files.convert()


def test_a_yaml_whose_resolution_is_no_number(files: Files) -> None:
    files.yaml["model"]["params"]["ddconfig"]["resolution"] = "abc"
    with pytest.raises(CheckpointError, match="resolution that is no whole number"):
        files.convert()


def test_bare_state_dicts(files: Files) -> None:
    mark = files.convert()
    mae, vqgan, config = files.write()
    torch.save(files.mae, mae)
    torch.save(files.vqgan, vqgan)
    assert import_checkpoint(mae, vqgan, config, files.out) == mark


class Hostile:
    """Would make a folder while being unpickled."""

    def __init__(self, make: Callable[..., object], *arguments: str) -> None:
        self.make, self.arguments = make, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.make, self.arguments


def test_nothing_in_a_file_is_executed(files: Files) -> None:
    mae, vqgan, config = files.write()
    data, target = torch.load(mae, weights_only=False), files.folder / "made"
    torch.save(data | {"args": Hostile(shutil.copytree, str(files.folder), str(target))}, mae)
    import_checkpoint(mae, vqgan, config, files.out)
    torch.save(data | {"args": Hostile(os.mkdir, str(target))}, mae)
    with pytest.raises(CheckpointError, match=r"it asks for posix\.mkdir"):
        import_checkpoint(mae, vqgan, config, files.out)
    assert not target.exists()
