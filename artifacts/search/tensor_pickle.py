"""Pickles of numbers, arrays and tensors, read without running anything that they name.

A pickle may call whatever it can import. Here it can import the few names with which NumPy and PyTorch write
their own data, and nothing else; PyTorch's storages inside are read with `weights_only`.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artifacts.errors import OfflineError

ARRAY_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")


def read_pickle(path: Path) -> Any:
    """What a pickle of plain data, arrays and tensors holds; raises OfflineError that names what is refused."""
    try:
        with path.open("rb") as file:
            return TensorUnpickler(file).load()
    except OfflineError as error:
        raise OfflineError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise OfflineError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OfflineError(f"{path} is not a pickle of arrays: {reason[:160]}") from None


class TensorUnpickler(pickle.Unpickler):
    """Knows arrays and tensors by name; refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        known = self.known()
        if (module, name) not in known:
            raise OfflineError(f"it asks for {module}.{name}"[:200])
        return known[module, name]

    def known(self) -> dict[tuple[str, str], Callable[..., Any]]:
        """What a pickle may import; made anew for every look-up, as it may write to what it gets."""
        return _known()

    def persistent_load(self, pid: object) -> Any:
        raise OfflineError("it refers to data outside of itself")


def _known() -> dict[tuple[str, str], Callable[..., Any]]:
    def storage(content: bytes) -> Any:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)

    def tensor(stored: Any, offset: int, size: Any, stride: Any, *_: object) -> torch.Tensor:
        return torch.empty(0, dtype=stored.dtype).set_(stored._untyped_storage, offset, size, stride)

    arrays = import_module("numpy._core.multiarray")
    return {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): tensor,
        ("torch.storage", "_load_from_bytes"): storage,
        **{(module, name): getattr(arrays, name) for module in ARRAY_MODULES for name in ("_reconstruct", "scalar")},
    }
