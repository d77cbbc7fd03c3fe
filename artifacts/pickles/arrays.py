"""NumPy's arrays in pickles, rebuilt here from plain numbers.

NumPy's own constructors take object types, strides and sizes: whoever lends them to a file lets it read and write
memory. Here a file gives a type of numbers, a shape, and exactly the bytes that both ask for.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from artifacts.errors import OfflineError

ARRAY_MODULES: Final = ("numpy._core.multiarray", "numpy.core.multiarray")
_BUFFER_MODULES: Final = ("numpy._core.numeric", "numpy.core.numeric")
_NUMBERS: Final = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
_ORDERS: Final = ("C", "F", "K")


class NumberType:
    """A type of numbers: what `numpy.dtype` is called with, and the byte order that follows."""

    __slots__ = ("_name", "_order")

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or name not in _NUMBERS:
            raise OfflineError(f"it holds an array of {str(name)[:20]}, not of numbers")
        self._name, self._order = name, "="

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                self._order = "=" if order == "|" else order
            case _:
                raise OfflineError("it holds an array of records, not of numbers")

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._name)


class Array:
    """An array as it is rebuilt: empty, until its state comes."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: NDArray[Any] | None = None) -> None:
        self.numbers: NDArray[Any] = np.empty(0) if numbers is None else numbers

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, NumberType() as kind, fortran, bytes() | bytearray() as raw):
                self.numbers = _numbers(raw, kind, shape, "F" if fortran else "C")
            case _:
                raise OfflineError("it holds an array that is not one of plain numbers")


def array_names() -> dict[tuple[str, str], Callable[..., Any]]:
    """What NumPy writes its arrays with, by module and name."""
    return {
        ("numpy", "ndarray"): _no_constructor,
        ("numpy", "dtype"): NumberType,
        ("_codecs", "encode"): _latin1,
        **{(module, "_reconstruct"): _empty for module in ARRAY_MODULES},
        **{(module, "scalar"): _scalar for module in ARRAY_MODULES},
        **{(module, "_frombuffer"): _from_buffer for module in _BUFFER_MODULES},
    }


def _no_constructor(*_: object) -> Any:
    raise OfflineError("it makes an array of memory that is not its own")


def _latin1(text: object, encoding: object) -> bytes:
    """How protocol 2, which knows no bytes, writes them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise OfflineError("it asks for _codecs.encode of something else than bytes")
    return text.encode("latin1")


def _empty(*_: object) -> Array:
    return Array()


def _scalar(kind: object, raw: object = b"") -> Array:
    if not isinstance(kind, NumberType) or not isinstance(raw, bytes):
        raise OfflineError("it holds a scalar that is no plain number")
    return Array(_numbers(raw, kind, (), "C"))


def _from_buffer(raw: object, kind: object, shape: object, order: object, axes: object = None) -> Array:
    if not isinstance(raw, bytes | bytearray) or not isinstance(kind, NumberType) or order not in _ORDERS:
        raise OfflineError("it holds an array that is not one of plain numbers")
    numbers = _numbers(raw, kind, shape, "F" if order == "F" else "C")
    if order != "K" or axes is None:
        return Array(numbers)
    if not isinstance(axes, tuple | list) or sorted(axes) != list(range(numbers.ndim)):
        raise OfflineError("it holds an array whose axes are none")
    return Array(numbers.transpose(axes))


def _numbers(raw: bytes | bytearray, kind: NumberType, shape: object, order: Any) -> NDArray[Any]:
    dtype = kind.numpy()
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise OfflineError("it holds an array whose shape is none")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise OfflineError(f"it holds an array of {len(raw)} bytes for a shape of {math.prod(shape)} numbers")
    return np.frombuffer(bytearray(raw), dtype).reshape(shape, order=order)
