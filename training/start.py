"""What a training of the MAE starts from: random weights around a trained tokenizer, or a whole model."""

from dataclasses import asdict
from pathlib import Path

import torch

from artifacts.errors import TrainingError
from engine.checkpoint import load_model
from engine.config import MaeConfig, ModelConfig
from engine.model import MaeVqgan
from training.checkpoint import load_state, save_state
from training.deepen import deepened


def from_nothing(tokenizer: Path, name: str, config: MaeConfig, seed: int) -> MaeVqgan:
    """A fresh MAE around a trained, frozen tokenizer."""
    state = load_state(tokenizer)
    if state is None:
        raise TrainingError(f"no tokenizer at {tokenizer}: train one first with `vtv train tokenizer`")
    torch.manual_seed(seed)
    model = MaeVqgan(ModelConfig.from_json({"name": name, "mae": asdict(config), "vqgan": state["config"]}))
    initialise(model.mae)
    model.vae.load_state_dict(state["model"])
    model.vae.requires_grad_(False).eval()
    return model


def from_model(directory: Path, out: Path, blocks: tuple[int, int] | None = None) -> MaeVqgan:
    """A model directory's MAE, to be trained on around its frozen tokenizer, which is put into the run for export;
    deepened to `blocks` of encoder and decoder where told. Raises TrainingError where those are fewer than it has."""
    model, _ = load_model(directory)
    if blocks is not None:
        model = deepened(model, *blocks)
    model.mae.requires_grad_(True)
    if not (out / "tokenizer.pt").is_file():
        save_state(out / "tokenizer.pt", {"model": model.vae.state_dict(), "config": asdict(model.config.vqgan)})
    return model


def initialise(mae: torch.nn.Module) -> None:
    """Xavier-uniform linear layers and small tokens, as in MAE."""
    for name, parameter in mae.named_parameters():
        if name in ("cls_token", "mask_token"):
            torch.nn.init.normal_(parameter, std=0.02)
        elif parameter.dim() > 1:
            torch.nn.init.xavier_uniform_(parameter.view(parameter.shape[0], -1))
        elif name.endswith(".bias"):
            torch.nn.init.zeros_(parameter)
