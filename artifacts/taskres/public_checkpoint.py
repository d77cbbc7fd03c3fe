"""Checkpoints and enhanced bases of the public trainer.

A checkpoint holds base and residual alone: alpha, the logit scale and the class names must be given. A wrong alpha
loads without a word and costs accuracy.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.taskres.torch_file import read_state

BASE, RESIDUAL, PROJECTION = "base_text_features", "text_feature_residuals", "weight"


@dataclass(frozen=True)
class PublicResidual:
    """Base and residual, float32 [K,D]."""

    base: Tensor
    residual: Tensor


def read_residual(path: Path) -> PublicResidual:
    """What `prompt_learner/model.pth.tar-EPOCH` holds; raises OfflineError."""
    state = read_state(path)
    base, residual = _matrix(path, state, BASE), _matrix(path, state, RESIDUAL)
    if base.shape != residual.shape:
        raise OfflineError(f"{path}: {RESIDUAL} {list(residual.shape)} does not fit {BASE} {list(base.shape)}")
    if not bool(base.norm(dim=1).all()):
        raise OfflineError(f"{path}: {BASE} has a row of zeros")
    return PublicResidual(base, residual)


def read_projection(path: Path) -> Tensor:
    """An enhanced base's text projection [W,D], float32; stored as a linear layer's weight [D,W]."""
    return _matrix(path, read_state(path), PROJECTION).T.contiguous()


def _matrix(path: Path, state: dict[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise OfflineError(f"{path} lacks {name}; it holds: {', '.join(sorted(state))[:200] or 'nothing'}")
    matrix = state[name].float()
    if matrix.dim() != 2 or not matrix.numel():
        raise OfflineError(f"{path}: {name} is no matrix but {list(matrix.shape)}")
    if not bool(torch.isfinite(matrix).all()):
        raise OfflineError(f"{path}: {name} is not finite everywhere")
    return matrix
