"""The base: one text feature a class, from which a residual starts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.store.residual import TaskResidual


def class_base(hidden: Tensor, projection: Tensor) -> Tensor:
    """The base [K,D] of text features before the projection [K,T,W], T templates, and a text projection [W,D].

    The plain mean over templates of features that are not normalised, in the type of its inputs, given as float32.
    """
    if hidden.dim() != 3 or projection.dim() != 2 or hidden.shape[2] != projection.shape[0]:
        raise OfflineError(f"text features {list(hidden.shape)} do not fit a text projection {list(projection.shape)}")
    return (hidden @ projection).mean(1).float()


def base_of(rows: Tensor, scale: float, names: Sequence[str], tower: str) -> TaskResidual:
    """A base [K,D] as a task whose residual is zero."""
    return TaskResidual(rows, torch.zeros_like(rows), 1.0, scale, tuple(names), tower)
