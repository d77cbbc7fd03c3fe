"""A tower that is still to be loaded: what is known of it beforehand, and how it is built."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from engine.backends.choice import AUTO
from engine.cache import EngineCache, default_root
from engine.classification import DEFAULT_CLASSES, Precision
from engine.classifier import Classifier, TowerSpec, build_classifier
from engine.runner import Progress
from engine.towers.folder import TowerAbout, load_tower, read_about

DEFAULT_BUCKETS: Final = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 4, 8, 16, 32, 64)}
"""On a CPU 16 pictures take the tower about as long as eight take the model: between batches of eight cores idle."""


class TowerPlan:
    """Reads the tower's description alone; raises CheckpointError for a folder that holds none.

    Weights are read, and the bank's memory taken, when it is built: a server without classification tasks has neither.
    """

    def __init__(
        self,
        path: Path,
        *,
        slots: int,
        classes: int = DEFAULT_CLASSES,
        buckets: Sequence[int] | None = None,
        backend: str = AUTO,
        device: str = "cpu",
        cache: Path | None = None,
        lean: bool = False,
        precision: Precision = "float32",
    ) -> None:
        """Heads of up to `classes` classes in `slots` slots; `lean` and `precision` as in `TowerSpec`."""
        self.about: TowerAbout = read_about(path)
        self.classes = classes
        self.device = torch.device(device)
        self.buckets = tuple(sorted(set(buckets or DEFAULT_BUCKETS[self.device.type])))
        self._path, self._slots, self._backend = path, slots, backend
        self._lean, self._precision = lean, precision
        self._cache = EngineCache(cache or default_root())

    def build(self, progress: Progress) -> Classifier:
        """Takes seconds, or minutes where a backend has to compile; raises CheckpointError, EngineError."""
        progress("reading the image tower")
        spec = TowerSpec(
            load_tower(self._path),
            self.device,
            self.buckets,
            self._slots,
            self.classes,
            self._cache,
            progress,
            self._lean,
            self._precision,
        )
        return build_classifier(spec, self._backend)
