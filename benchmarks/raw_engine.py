"""The engine's own speed: tensors in, tensors out, no server."""

import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch

from artifacts.store.address import StoreAddress
from artifacts.store.base import ArtifactStore
from artifacts.store.open import open_store
from benchmarks.raw_speed import RawSpeed
from engine.device import best_device
from engine.runtime import Engine

_TURN_SECONDS: Final = 0.5


class RawEngine:
    """An engine with every painted task of a store in its bank, to be measured more than once."""

    def __init__(self, engine: Engine, store: ArtifactStore) -> None:
        self._engine = engine
        artifacts = store.painted()
        self._tasks = len(artifacts)
        for slot, artifact in enumerate(artifacts, start=1):
            engine.write_slot(slot, artifact.vector)
        engine.warm_up()
        side = engine.geometry.tile
        self._tiles = np.random.default_rng(0).integers(0, 256, (engine.max_batch, side, side, 3), np.uint8)

    @classmethod
    def load(cls, model: Path, store: StoreAddress, backend: str) -> Self:
        """On the best device. Raises EngineError."""
        return cls(Engine.load(model, backend=backend, device=best_device()), open_store(store))

    def measure(self, seconds: float) -> RawSpeed:
        """Every bucket for an equal part of `seconds`, in turns: a machine that is faster for a while favours none."""
        spent: dict[int, list[float]] = {bucket: [] for bucket in self._engine.buckets}
        rounds = max(1, round(seconds / len(spent) / _TURN_SECONDS))
        for _ in range(rounds):
            for bucket, times in spent.items():
                times += self._batches(bucket, seconds / len(spent) / rounds)
        return RawSpeed(*max((bucket * len(times) / sum(times), bucket) for bucket, times in spent.items()))

    def step(self) -> float:
        """Seconds of one step with a single image."""
        return self._batch(1)

    def _batches(self, size: int, seconds: float) -> list[float]:
        """What each took, of one after the other for so long."""
        ends_at = time.perf_counter() + seconds
        spent = [self._batch(size)]
        while time.perf_counter() < ends_at:
            spent.append(self._batch(size))
        return spent

    def _batch(self, size: int) -> float:
        slots = [1 + row % self._tasks if self._tasks else 0 for row in range(size)]
        started = time.perf_counter()
        self._engine.zero_shot(self._tiles[:size], slots)
        return time.perf_counter() - started

    def about(self) -> dict[str, Any]:
        """What ran, in plain JSON types."""
        engine = self._engine
        return {
            "model": engine.model_name,
            "backend": engine.backend,
            "device": str(engine.device),
            "threads": torch.get_num_threads(),
            "vtv": version("visual-task-vectors"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
