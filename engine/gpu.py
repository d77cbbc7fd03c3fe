"""What the engine asks of a GPU: one stream, memory, and captures.

`engine.cuda_device` is the real one. The tests have another, which frees what nobody holds, runs its stream as late
as it may and refuses what a GPU would refuse.
"""

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

from engine.backends.protocol import Launch


class Event(Protocol):
    """A point in the stream."""

    def synchronize(self) -> None:
        """Let the host wait, asleep, until the stream has come to it."""


class Graph(Protocol):
    """What a launch enqueued while it was captured: kernels and the addresses they work on, and no hold on either."""

    def replay(self) -> None:
        """Enqueue it all again."""


class Gpu(Protocol):
    """A device and one stream on it, which is not the default one: that cannot be captured."""

    device: torch.device

    def current(self) -> AbstractContextManager[object]:
        """Makes the stream the one that PyTorch allocates for and launches on."""

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Page-locked memory on the host."""

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Enqueue a copy, converting types as `Tensor.copy_` does."""

    def run(self, launch: Launch) -> None:
        """Let it enqueue what it does."""

    def capture(self, launch: Launch) -> Graph:
        """Record what it enqueues, in the memory pool that all graphs share; it must have run before."""

    def mark(self) -> Event:
        """The stream as it is now."""

    def synchronize(self) -> None:
        """Let the host wait for everything on the device."""

    def used(self) -> int:
        """Bytes in use on the device."""
