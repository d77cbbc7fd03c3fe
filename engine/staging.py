"""The way into a bank on a GPU: one page-locked block and one on the device, for every install.

    host tensors -> page-locked block, in the bank's types -> block on the device -> rows of the bank

The host copies and converts; the device copies once across and once within for each tensor. Nothing is allocated,
and the host waits only where the block before last is still being read.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from engine.errors import EngineError
from engine.gpu import Event, Gpu

_ALIGNED: Final = 16
"""Bytes: every type's elements start at a multiple of their size."""
_BLOCKS: Final = 2
"""Page-locked, so that the host fills one while the device reads the other."""


class Staging:
    """Copies host tensors into the bank, in the order of the stream: after the batches that are under way."""

    def __init__(self, gpu: Gpu, size: int, parts: int) -> None:
        """For installs of `size` bytes in `parts` tensors at most."""
        self._gpu = gpu
        size += parts * _ALIGNED
        self._free: deque[tuple[Tensor, Event | None]] = deque(
            (gpu.pinned((size,), torch.uint8), None) for _ in range(_BLOCKS)
        )
        with gpu.current():
            self._landing = torch.zeros(size, dtype=torch.uint8, device=gpu.device)

    def copy(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Enqueue (target on the device, source on the host) for each pair; sources may be changed at once."""
        block, read = self._free.popleft()
        if read is not None:
            read.synchronize()
        ends, total = [], 0
        for target, _ in pairs:
            start = -(-total // _ALIGNED) * _ALIGNED
            total = start + target.numel() * target.element_size()
            ends.append((start, total))
        if total > block.numel():
            raise EngineError(f"an install of {total} bytes does not fit into {block.numel()}")
        for (start, end), (target, source) in zip(ends, pairs, strict=True):
            _as(block[start:end], target).copy_(source)
        self._gpu.copy(self._landing[:total], block[:total])
        self._free.append((block, self._gpu.mark()))
        for (start, end), (target, _) in zip(ends, pairs, strict=True):
            self._gpu.copy(target, _as(self._landing[start:end], target))


def _as(block: Tensor, like: Tensor) -> Tensor:
    """Bytes as a tensor of another's type and shape."""
    return block.view(like.dtype).view(like.shape)
