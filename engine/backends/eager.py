"""Plain PyTorch: the reference that every other backend is checked against."""

from dataclasses import dataclass

import torch

from engine.backends.protocol import Launch
from engine.cache import EngineCache, Key
from engine.network import Buffers, Network


@dataclass(frozen=True, slots=True)
class EagerNetwork:
    """Calls the module."""

    network: Network

    def bind(self, buffers: Buffers) -> Launch:
        @torch.inference_mode()
        def launch() -> None:
            buffers.output.copy_(self.network(*buffers.inputs))

        return launch


class Eager:
    """float32 unless asked otherwise, on any device."""

    name = "eager"
    version = torch.__version__
    dtype = torch.float32
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> EagerNetwork:
        """Nothing to do."""
        return EagerNetwork(network)
