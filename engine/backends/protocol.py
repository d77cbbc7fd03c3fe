"""What a backend is: it turns a network into launches, each bound to buffers of one bucket."""

from collections.abc import Callable
from typing import Protocol

import torch

from engine.cache import EngineCache, Key
from engine.errors import EngineError
from engine.network import Buffers, Network

Launch = Callable[[], None]
"""Reads the inputs and writes the output of the buffers it was bound to. On a GPU it only enqueues, on the current
stream, and may be captured."""


class BackendUnavailable(EngineError):
    """A backend cannot be used here; the message says what is missing and how to get it."""


class Compiled(Protocol):
    """A network, ready for any of its buckets."""

    def bind(self, buffers: Buffers) -> Launch:
        """A launch for these buffers, which must stay where they are for as long as it is used."""


class Backend(Protocol):
    """Compiles networks. Making one raises BackendUnavailable where it cannot work."""

    name: str
    version: str
    """Of every package that shapes what is compiled: part of the cache key."""
    dtype: torch.dtype
    """What it computes in here, unless asked for another type."""
    lowers_itself: bool
    """Takes float32 weights and chooses each operator's type; else the weights come in the type asked for."""

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> Compiled:
        """Compile or fetch from the cache; raises EngineError that names the operator that cannot be compiled."""
