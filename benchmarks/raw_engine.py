"""The engine's own throughput: tensors in, tensors out, no server."""

import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artifacts.store import Store
from engine.device import best_device
from engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class RawEngine:
    """What the engine does at its best bucket."""

    images_per_second: float
    bucket: int
    about: dict[str, Any]


def raw_engine(model: Path, store: Path, backend: str, seconds: float) -> RawEngine:
    """Measure an engine with every task of `store` in its bank. Raises EngineError."""
    engine = Engine.load(model, backend=backend, device=best_device())
    images_per_second, bucket = raw_throughput(engine, Store(store), seconds)
    return RawEngine(images_per_second, bucket, _about(engine))


def raw_throughput(engine: Engine, store: Store, seconds: float) -> tuple[float, int]:
    """The engine's best images/s over its buckets, and the bucket that gives it."""
    names = store.names()
    for slot, name in enumerate(names, start=1):
        engine.write_slot(slot, store.read(name, engine.fingerprint).vector)
    engine.warm_up()
    return max(
        (_images_per_second(engine, bucket, len(names), seconds / len(engine.buckets)), bucket)
        for bucket in engine.buckets
    )


def _images_per_second(engine: Engine, bucket: int, tasks: int, seconds: float) -> float:
    side = engine.geometry.tile
    tiles = np.random.default_rng(0).integers(0, 256, (bucket, side, side, 3), np.uint8)
    slots = [1 + row % tasks if tasks else 0 for row in range(bucket)]
    batches, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        engine.zero_shot(tiles, slots)
        batches += 1
    return batches * bucket / elapsed


def _about(engine: Engine) -> dict[str, Any]:
    return {
        "model": engine.model_name,
        "backend": engine.backend,
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "vtv": version("visual-task-vectors"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
