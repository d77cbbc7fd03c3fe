"""Features of pictures without a server: what a tower computes that is served on this machine."""

import logging
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from engine.backends.choice import AUTO, choose
from engine.backends.protocol import Backend
from engine.cache import EngineCache, default_root
from engine.classification import Precision
from engine.device import best_device
from engine.geometry import Pixels
from engine.host_runner import HostRunner
from engine.host_tower import quick_runner
from engine.towers.tower import Tower

log: Final = logging.getLogger("vtv.engine")
_BUCKETS: Final = (1, 8)


class Encoder:
    """A tower at work. Not thread-safe."""

    def __init__(self, tower: Tower, precision: Precision, cache: Path | None = None) -> None:
        """`bfloat16` where a CPU computes in it, as a server does, else float32; `cache` as a server's."""
        self.device = torch.device(best_device())
        self.tower: Tower = tower.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._quick: HostRunner | None = None
        if precision == "bfloat16" and self.device.type == "cpu":
            attempt = partial(_quick, tower, EngineCache(cache or default_root()))
            self._quick, choice = choose(AUTO, self.device, attempt)
            for line in choice.passed_over:
                log.warning("backend passed over for the image tower: %s", line)

    @property
    def precision(self) -> Precision:
        """What it computes in."""
        return "float32" if self._quick is None else "bfloat16"

    @torch.inference_mode()
    def features(self, pixels: Pixels) -> Tensor:
        """Float32 [B,width] of pictures uint8 [B,size,size,3], on the CPU."""
        if self._quick is None:
            features: Tensor = self.tower(torch.from_numpy(pixels).to(self.device))
            return features.cpu()
        parts = [pixels[row : row + _BUCKETS[-1]] for row in range(0, len(pixels), _BUCKETS[-1])]
        return torch.cat([torch.from_numpy(self._quick.submit(part, ()).result()) for part in parts])


def _quick(tower: Tower, cache: EngineCache, backend: Backend) -> HostRunner | None:
    return quick_runner(tower, backend, _BUCKETS, cache, lambda line: None)
