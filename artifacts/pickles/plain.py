"""Pickles of numbers, arrays and tensors."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.pickles.arrays import Array
from artifacts.pickles.torch_file import storage_names
from artifacts.pickles.unpickler import PlainUnpickler


def read_pickle(path: Path) -> Any:
    """What a pickle of plain data, arrays and tensors holds; raises OfflineError that names what is refused."""
    try:
        with path.open("rb") as file:
            return PlainUnpickler(file, storage_names()).load()
    except OfflineError as error:
        raise OfflineError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise OfflineError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OfflineError(f"{path} is not a pickle of arrays: {reason[:160]}") from None


def as_tensor(value: object) -> Tensor | None:
    """A tensor, array or number of a pickle, of floating point; None for anything else."""
    if isinstance(value, Array):
        native = value.numbers.dtype.newbyteorder("=")
        value = torch.from_numpy(value.numbers.astype(native, copy=False))
    elif isinstance(value, float):
        value = torch.tensor(value, dtype=torch.float64)
    return value.detach() if isinstance(value, Tensor) and value.is_floating_point() else None
