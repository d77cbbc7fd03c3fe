"""`vtv export`: training checkpoints to a model directory."""

from pathlib import Path

from artifacts.errors import TrainingError
from engine.checkpoint import save_model
from engine.config import ModelConfig
from engine.model import MaeVqgan
from training.checkpoint import load_state


def export(run: Path, out: Path) -> str:
    """Put `run/tokenizer.pt` and the averaged weights of `run/mae.pt` together, float16; returns the fingerprint."""
    tokenizer, mae = load_state(run / "tokenizer.pt"), load_state(run / "mae.pt")
    if tokenizer is None or mae is None:
        raise TrainingError(f"{run} lacks tokenizer.pt or mae.pt: train both first")
    if "name" not in mae:
        raise TrainingError(f"{run / 'mae.pt'} is not a checkpoint of `vtv train mae`")
    config = ModelConfig.from_json({"name": mae["name"], "mae": mae["config"], "vqgan": tokenizer["config"]})
    model = MaeVqgan(config)
    model.mae.load_state_dict(mae["average"])
    model.vae.load_state_dict(tokenizer["model"])
    return save_model(model, out)
