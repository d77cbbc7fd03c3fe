"""Memory of which every byte has an owner: what nobody holds is freed, poisoned and given to the next who asks."""

import weakref
from typing import Final

import numpy as np
import torch
from torch import Tensor

POISON: Final = 0xFF
"""In freed memory: NaN in every float type, white in a picture."""
_ALIGNED: Final = 64


class IllegalAccess(RuntimeError):
    """Work ran on memory that nobody holds any more."""


class _Block(np.ndarray):  # type: ignore[type-arg]
    """Bytes of the arena; an array of a class of its own can be referred to weakly."""


class Memory:
    """An arena. Tensors in it are ordinary CPU tensors: reading them without the device shows what it has done."""

    def __init__(self, size: int) -> None:
        self._bytes = np.full(size, POISON, np.uint8)
        self._base: int = self._bytes.ctypes.data
        self._free: list[tuple[int, int]] = [(0, size)]
        self._live: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Bytes that somebody holds."""
        return sum(self._live.values())

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor of whatever was there before; its bytes are free again when its storage has no owner."""
        size = max(1, int(np.prod(shape, dtype=np.int64))) * dtype.itemsize
        block = self._take(-(-size // _ALIGNED) * _ALIGNED)
        return torch.from_numpy(block[:size]).view(dtype)[: int(np.prod(shape, dtype=np.int64))].view(shape)

    def check(self, tensor: Tensor) -> None:
        """Raise IllegalAccess unless all of a tensor lies in memory that somebody holds."""
        start = tensor.data_ptr() - self._base
        span = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
        end = start + span * tensor.element_size()
        if tensor.numel() and not any(at <= start and end <= at + size for at, size in self._live.items()):
            raise IllegalAccess(f"{list(tensor.shape)} at {start} has been freed")

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in this memory at all."""
        return 0 <= tensor.data_ptr() - self._base < len(self._bytes)

    def at(self, like: "Address") -> Tensor:
        """What lies at an address, without holding it; raises IllegalAccess."""
        whole = torch.from_numpy(self._bytes[like.start - self._base :])
        usable = whole[: len(whole) // like.dtype.itemsize * like.dtype.itemsize]
        found = usable.view(like.dtype).as_strided(like.shape, like.stride)
        self.check(found)
        return found

    def _take(self, size: int) -> _Block:
        for place, (at, room) in enumerate(self._free):
            if room >= size:
                self._free[place : place + 1] = [(at + size, room - size)] if room > size else []
                block = self._bytes[at : at + size].view(_Block)
                self._live[at] = size
                weakref.finalize(block, self._give_back, at, size)
                return block
        raise MemoryError(f"CUDA out of memory: {size} bytes")

    def _give_back(self, at: int, size: int) -> None:
        del self._live[at]
        self._bytes[at : at + size] = POISON
        self._free.insert(0, (at, size))


class Address:
    """Where a tensor lies and how: what a kernel knows of it. Holds nothing."""

    def __init__(self, tensor: Tensor) -> None:
        self.start, self.shape, self.stride, self.dtype = (
            tensor.data_ptr(),
            tuple(tensor.shape),
            tensor.stride(),
            tensor.dtype,
        )
