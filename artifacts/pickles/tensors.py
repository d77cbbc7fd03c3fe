"""PyTorch's tensors in pickles: views of storages that were read before, within their bounds."""

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from artifacts.errors import OfflineError

STORAGES: Final = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class StorageKind:
    """A storage's type, as a file names it."""

    __slots__ = ("dtype",)

    def __init__(self, name: str) -> None:
        self.dtype = STORAGES[name]

    def __setstate__(self, state: object) -> None:
        raise OfflineError("it changes a type")


class Storage:
    """A tensor's numbers, [n]."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers

    def __setstate__(self, state: object) -> None:
        raise OfflineError("it changes a storage")


def tensor_names() -> dict[tuple[str, str], Callable[..., Any]]:
    """What PyTorch writes its tensors with, by module and name."""
    return {
        ("torch._utils", "_rebuild_tensor"): rebuilt,
        ("torch._utils", "_rebuild_tensor_v2"): rebuilt,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    }


def rebuilt(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """A view of a storage; raises OfflineError where it would leave it, or repeat its numbers."""
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise OfflineError("it holds a tensor without a storage")
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise OfflineError("it holds a tensor whose size is none")
    assert isinstance(offset, int)
    held = storage.numbers.numel()
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > held or (math.prod(size) and last >= held):
        raise OfflineError(f"it holds a tensor of {math.prod(size)} numbers in a storage of {held}")
    return storage.numbers.as_strided(size, stride, offset)


def _parameter(data: object, *_: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise OfflineError("it holds a parameter without a tensor")
    return data
