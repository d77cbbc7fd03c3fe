"""Checkpoints as `torch.save` writes them, read without running anything that they name.

`torch.load(weights_only=True)` refuses the public trainer's files: a live scheduler and its optimizer are pickled in
them. Here those become empty objects, and any other name beyond tensors and plain containers is refused.
"""

import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.search.tensor_pickle import TensorUnpickler

STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
}
INERT = "torch.optim."
"""Optimizers and schedulers: made into empty objects."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's `state_dict`, by name; raises OfflineError that names what is refused."""
    try:
        with ZipFile(path) as archive:
            held = _load(archive)
    except OfflineError as error:
        raise OfflineError(f"{path} is refused: {error}") from None
    except BadZipFile:
        raise OfflineError(f"{path} is not a checkpoint that torch.save of PyTorch 1.6 or later wrote") from None
    except OSError as error:
        raise OfflineError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OfflineError(f"{path} is not a checkpoint of tensors: {reason[:160]}") from None
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise OfflineError(f"{path} holds no state_dict of tensors")
    return {str(name): value for name, value in state.items()}


def _load(archive: ZipFile) -> Any:
    found = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(found) != 1:
        raise OfflineError("it is an archive without one data.pkl")
    return CheckpointUnpickler(archive, found[0].removesuffix("data.pkl")).load()


class CheckpointUnpickler(TensorUnpickler):
    """Knows tensors and containers by name, takes optimizers and schedulers for empty objects, refuses the rest."""

    def __init__(self, archive: ZipFile, folder: str) -> None:
        super().__init__(archive.open(_stored(archive, folder + "data.pkl")))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith(INERT):
            return type(name, (), {})
        return super().find_class(module, name)

    def known(self) -> dict[tuple[str, str], Callable[..., Any]]:
        """No arrays, and none of the storages that a bare pickle holds in itself."""
        return {
            ("collections", "OrderedDict"): OrderedDict,
            ("collections", "defaultdict"): defaultdict,
            ("builtins", "dict"): dict,
            ("__builtin__", "dict"): dict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            **{("torch", name): partial(_no_call, name) for name in STORAGES},
        }

    def persistent_load(self, pid: object) -> Any:
        """A storage as a flat tensor: its numbers are a member of the archive."""
        match pid:
            case ("storage", partial() as kind, str(key), str(), int()):
                content = self._archive.read(_stored(self._archive, f"{self._folder}data/{key}"))
                return torch.frombuffer(bytearray(content), dtype=STORAGES[kind.args[0]])
        raise OfflineError("it refers to data outside of itself")


def _stored(archive: ZipFile, name: str) -> str:
    """torch.save does not compress, so what is read is never larger than the file."""
    if archive.getinfo(name).compress_type != ZIP_STORED:
        raise OfflineError(f"its member {name} is compressed"[:200])
    return name


def _tensor(stored: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return stored.as_strided(size, stride, offset).clone()


def _parameter(data: Tensor, *_: object) -> Tensor:
    return data


def _no_call(name: str) -> None:
    raise pickle.UnpicklingError(f"a {name} outside of the archive")
