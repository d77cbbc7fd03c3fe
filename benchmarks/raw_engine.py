"""The engine's own speed: tensors in, tensors out, no server."""

import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from artifacts.store import Store
from benchmarks.raw_speed import RawSpeed
from engine.device import best_device
from engine.runtime import Engine


class RawEngine:
    """An engine with every task of a store in its bank, to be measured more than once."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        names = store.names()
        self._tasks = len(names)
        for slot, name in enumerate(names, start=1):
            engine.write_slot(slot, store.read(name, engine.fingerprint).vector)
        engine.warm_up()

    @classmethod
    def load(cls, model: Path, store: Path, backend: str) -> Self:
        """On the best device. Raises EngineError."""
        return cls(Engine.load(model, backend=backend, device=best_device()), Store(store))

    def measure(self, seconds: float) -> RawSpeed:
        """Every bucket for an equal part of `seconds`."""
        part = seconds / len(self._engine.buckets)
        times = {bucket: self._seconds(bucket, part) for bucket in self._engine.buckets}
        images_per_second, bucket = max((bucket * len(each) / sum(each), bucket) for bucket, each in times.items())
        smallest = self._engine.buckets[0]
        return RawSpeed(images_per_second, bucket, 1e3 * statistics.median(times[smallest]))

    def _seconds(self, bucket: int, part: float) -> list[float]:
        """Of each batch, one after the other, for `part` seconds."""
        side = self._engine.geometry.tile
        tiles = np.random.default_rng(0).integers(0, 256, (bucket, side, side, 3), np.uint8)
        slots = [1 + row % self._tasks if self._tasks else 0 for row in range(bucket)]
        seconds: list[float] = []
        began = started = time.perf_counter()
        while started < began + part:
            self._engine.zero_shot(tiles, slots)
            ended = time.perf_counter()
            seconds.append(ended - started)
            started = ended
        return seconds

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
