"""Training state on disk: written beside and moved into place, so that an interruption never leaves half a file."""

from pathlib import Path
from typing import Any

import torch

from artifacts.errors import TrainingError


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_state(path: Path, config: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The state to resume from, or None when training starts afresh.

    Raises TrainingError for a file of another kind, and where `config` is given for a model of another architecture.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # of a file that is no checkpoint, torch raises whatever it stumbles over
        raise TrainingError(f"{path} cannot be read as a checkpoint of `vtv train`") from None
    if not isinstance(state, dict) or not {"model", "config"} <= state.keys():
        raise TrainingError(f"{path} is not a checkpoint of `vtv train`")
    if config is not None and any(state["config"].get(name, value) != value for name, value in config.items()):
        raise TrainingError(f"{path} is a model of another --size: give that size, or another folder")
    return state
