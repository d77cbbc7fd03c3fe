"""Tower folders: `tower.safetensors` + `tower.json`, with a fingerprint of both."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.checkpoint import fingerprint, load_exactly
from engine.errors import CheckpointError
from engine.towers.clip import ClipTower
from engine.towers.lite0 import Lite0
from engine.towers.tower import Tower

WEIGHTS, DESCRIPTION = "tower.safetensors", "tower.json"
FORMAT = 1
ARCHITECTURES: dict[str, Callable[[dict[str, Any]], Tower]] = {
    Lite0.architecture: lambda config: Lite0(int(config["size"]), int(config["shorter_edge"])),
    ClipTower.architecture: ClipTower.from_config,
}
"""Empty towers by what `Tower.config` gives."""


def save_tower(tower: Tower, directory: Path) -> str:
    """Write a tower folder, in half precision, and return the fingerprint of what a reader gets back."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = _half(tower)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise CheckpointError("the tower's weights are not finite in half precision")
    config = tower.config()
    mark = tower_fingerprint(config, tensors)
    partial = directory / (WEIGHTS + ".partial")
    save_file(tensors, partial)
    partial.chmod(0o644)  # the library makes it the owner's alone; servers often run as somebody else
    partial.replace(directory / WEIGHTS)
    description = {"format": FORMAT, "fingerprint": mark, "config": config}
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    return mark


def tower_fingerprint(config: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the configuration and the float32 values: a picture has other features where either differs."""
    about = json.dumps(config, sort_keys=True)
    return hashlib.sha256(f"{about}{fingerprint(tensors)}".encode()).hexdigest()


def half_fingerprint(tower: Tower) -> str:
    """What a tower's would be if it were saved."""
    return tower_fingerprint(tower.config(), _half(tower))


@dataclass(frozen=True, slots=True)
class TowerAbout:
    """What a tower folder says, its weights not read: what the tower sees of a picture, and its features' width."""

    fingerprint: str
    size: int
    shorter_edge: int
    width: int


def read_about(directory: Path) -> TowerAbout:
    """Of a tower folder, without its weights; raises CheckpointError."""
    config, mark = _read_description(directory)
    with torch.device("meta"):
        tower = _empty(directory, config)
    return TowerAbout(mark, tower.size, tower.shorter_edge, tower.width)


def read_fingerprint(directory: Path) -> str:
    """Of a tower folder, without its weights; raises CheckpointError."""
    return _read_description(directory)[1]


def load_tower(directory: Path) -> Tower:
    """A frozen float32 tower on the CPU; raises CheckpointError when incomplete or altered."""
    config, mark = _read_description(directory)
    try:
        tensors = load_file(directory / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory / WEIGHTS} cannot be read: {error}") from None
    if tower_fingerprint(config, tensors) != mark:
        raise CheckpointError(f"{directory / WEIGHTS} does not have the fingerprint that {DESCRIPTION} states")
    tower = _empty(directory, config)
    load_exactly(tower, {name: tensor.float() for name, tensor in tensors.items()})
    tower.fingerprint = mark
    return tower.eval().requires_grad_(False)


def _read_description(directory: Path) -> tuple[dict[str, Any], str]:
    path = directory / DESCRIPTION
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"no tower at {directory}: {DESCRIPTION} is missing") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("config"), dict):
        raise CheckpointError(f"{path} is not in format {FORMAT}")
    return data["config"], str(data.get("fingerprint"))


def _half(tower: Tower) -> dict[str, Tensor]:
    return {name: t.detach().cpu().half().contiguous() for name, t in tower.state_dict().items()}


def _empty(directory: Path, config: dict[str, Any]) -> Tower:
    known = ", ".join(sorted(ARCHITECTURES))
    make = ARCHITECTURES.get(str(config.get("architecture")))
    if make is None:
        raise CheckpointError(f"{directory} is of architecture {config.get('architecture')!r}; known are: {known}")
    try:
        return make(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory / DESCRIPTION} is not understood: {error}") from None
