"""Model directories: `model.safetensors` + `model.json`, with a fingerprint of the tensors."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.config import ModelConfig
from engine.errors import CheckpointError
from engine.model import MaeVqgan

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = 1


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and float32 values, whatever type they are stored in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def model_fingerprint(model: MaeVqgan) -> str:
    """Fingerprint of a model as it would be saved."""
    return fingerprint(dict(model.state_dict()))


def save_model(model: MaeVqgan, directory: Path, dtype: torch.dtype = torch.float16) -> str:
    """Write a model directory and return the fingerprint of what a reader gets back."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().to(dtype).contiguous() for name, t in model.state_dict().items()}
    mark = fingerprint(tensors)
    partial = directory / (WEIGHTS + ".partial")
    save_file(tensors, partial)
    partial.chmod(0o644)  # the library makes it the owner's alone; servers often run as somebody else
    partial.replace(directory / WEIGHTS)
    description = {"format": FORMAT, "fingerprint": mark, "config": model.config.to_json()}
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    return mark


def read_description(directory: Path) -> tuple[ModelConfig, str]:
    """Configuration and fingerprint of a model directory; raises CheckpointError."""
    path = directory / DESCRIPTION
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"no model at {directory}: {DESCRIPTION} is missing") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not {"config", "fingerprint"} <= data.keys():
        raise CheckpointError(f"{path} is not in format {FORMAT}")
    return ModelConfig.from_json(data["config"]), str(data["fingerprint"])


def load_model(directory: Path) -> tuple[MaeVqgan, str]:
    """A frozen float32 model and its fingerprint; raises CheckpointError when incomplete or altered."""
    config, mark = read_description(directory)
    try:
        tensors = load_file(directory / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory / WEIGHTS} cannot be read: {error}") from None
    if fingerprint(tensors) != mark:
        raise CheckpointError(f"{directory / WEIGHTS} does not have the fingerprint that {DESCRIPTION} states")
    model = empty_model(config)
    load_exactly(model, {name: t.float() for name, t in tensors.items()})
    return model, mark


def empty_model(config: ModelConfig) -> MaeVqgan:
    """A frozen model whose values do not matter yet; skips the random initialisation."""
    with torch.device("meta"):
        model = MaeVqgan(config)
    # Not `to_empty`, which first loads all of torch's symbolic shapes.
    values = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in model.state_dict().items()}
    model.load_state_dict(values, assign=True)
    return model.eval().requires_grad_(False)


def load_exactly(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load tensors whose names and shapes must match one to one; raises CheckpointError that lists what does not."""
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    wrong = [n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape]
    for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", sorted(wrong))):
        if names:
            raise CheckpointError(f"{len(names)} tensors are {what}: {', '.join(names[:8])}")
    model.load_state_dict(tensors)
