"""The public trainer's checkpoints: the scheduler and optimizer that are pickled in them become empty objects."""

from pathlib import Path
from typing import Final

from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.pickles.torch_file import read_torch_file

_INERT: Final = "torch.optim."
"""Optimizers and schedulers."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's `state_dict`, by name; raises OfflineError that names what is refused."""
    held = read_torch_file(path, lambda name: name.startswith(_INERT))
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise OfflineError(f"{path} holds no state_dict of tensors")
    return {str(name): value for name, value in state.items()}
