"""Which form of an operation is computed: PyTorch's own operator, or parts that do the same sooner on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from torch import Tensor

_native: Final = ContextVar("native operators", default=False)


@contextmanager
def native_operators() -> Iterator[None]:
    """PyTorch's own on any device: to be exported for a compiler that has them natively."""
    token = _native.set(True)
    try:
        yield
    finally:
        _native.reset(token)


def native(tensor: Tensor) -> bool:
    """Whether an operation on `tensor` is to be PyTorch's own operator, as on a GPU."""
    return tensor.is_cuda or _native.get()
