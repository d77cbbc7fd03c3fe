"""Plain PyTorch: the reference that every other backend is checked against."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch

from engine.backends.protocol import Launch
from engine.cache import EngineCache, Key
from engine.device import exact_float32
from engine.network import Buffers, Network


@dataclass(frozen=True, slots=True)
class EagerNetwork:
    """Calls the module."""

    network: Network

    def bind(self, buffers: Buffers) -> Launch:
        precision = exact_float32 if self.network.dtype == torch.float32 else nullcontext

        @torch.inference_mode()
        def launch() -> None:
            with precision():
                buffers.output.copy_(self.network(*buffers.inputs))

        return launch


class Eager:
    """float32 on the CPU and float16 on a GPU, unless asked otherwise."""

    name = "eager"
    version = f"torch {torch.__version__}"
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        self.dtype = torch.float16 if device.type == "cuda" else torch.float32

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> EagerNetwork:
        """Nothing to do."""
        return EagerNetwork(network)
