"""Checkpoints and enhanced bases of the public trainer.

A checkpoint holds base and residual alone: alpha, the logit scale and the class names must be given. A wrong alpha
loads without a word and costs accuracy.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.store.residual import TaskResidual
from artifacts.taskres.torch_file import read_state
from engine.towers.tower import Tower

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


def read_task(path: Path, names: tuple[str, ...], alpha: float, scale: float, tower: Tower) -> TaskResidual:
    """A checkpoint as a task of a tower; raises OfflineError for names or a tower that do not fit it."""
    found = read_residual(path)
    rows, width = found.base.shape
    if rows != len(names):
        raise OfflineError(f"{path} has {rows} classes, not {len(names)}: of another data set, or of half of one?")
    if width != tower.width:
        raise OfflineError(f"{path} is of features {width} wide; the tower gives {tower.width}")
    return TaskResidual(found.base, found.residual, alpha, scale, names, tower.fingerprint)


def read_projection(path: Path) -> Tensor:
    """An enhanced base's text projection [W,D], float32; stored as a linear layer's weight [D,W]."""
    return _matrix(path, read_state(path), PROJECTION).T.contiguous()


def write_projection(path: Path, projection: Tensor) -> None:
    """The reverse: a text projection [W,D] as a checkpoint of a linear layer's weight."""
    torch.save({"state_dict": {PROJECTION: projection.T.contiguous()}}, path)


def _matrix(path: Path, state: dict[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise OfflineError(f"{path} lacks {name}; it holds: {', '.join(sorted(state))[:200] or 'nothing'}")
    matrix = state[name].float()
    if matrix.dim() != 2 or not matrix.numel():
        raise OfflineError(f"{path}: {name} is no matrix but {list(matrix.shape)}")
    if not bool(torch.isfinite(matrix).all()):
        raise OfflineError(f"{path}: {name} is not finite everywhere")
    return matrix
