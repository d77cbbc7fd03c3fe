"""The unpickler that knows arrays, tensors and plain containers by name, and nothing else.

A pickle may call whatever it can import. Here it gets our own small functions in place of the few names with which
NumPy and PyTorch write their data.
"""

import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from artifacts.errors import OfflineError
from artifacts.pickles.arrays import array_names
from artifacts.pickles.sizes import check_sizes
from artifacts.pickles.tensors import STORAGES, StorageKind, tensor_names

Names = dict[tuple[str, str], Callable[..., Any]]
_CONTAINERS: Final[Names] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{(module, name): kind for module in ("builtins", "__builtin__") for name, kind in (("dict", dict), ("set", set))},
}


class PlainUnpickler(pickle.Unpickler):
    """Reads one pickle from a stream, which it leaves behind it. Raises OfflineError, and whatever a damaged one does.

    `more` are names beyond arrays, tensors and containers; `inert` tells whether an object of an unknown name may stand
    there as an empty one.
    """

    def __init__(
        self, stream: BinaryIO, more: Names | None = None, inert: Callable[[str], bool] = lambda _: False
    ) -> None:
        check_sizes(stream)
        super().__init__(stream)
        self._known = _CONTAINERS | array_names() | tensor_names() | (more or {})
        self._inert = inert

    def find_class(self, module: str, name: str) -> Any:
        known = self._known.get((module, name))
        if known is not None:
            return _Callable(known)
        if module == "torch" and name in STORAGES:
            return StorageKind(name)
        if self._inert(f"{module}.{name}"):
            return type("Inert", (_Inert,), {})
        raise OfflineError(f"it asks for {module}.{name}"[:200])

    def persistent_load(self, pid: object) -> Any:
        raise OfflineError("it refers to data outside of itself")


class _Callable:
    """What a file gets for a name: it can be called, and not written to."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: object) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise OfflineError("it changes what it asks for")


class _Inert:
    """Stands in for any object that is not plain data: takes anything, does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __new__(cls, *arguments: object) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, items: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass
