"""An engine that is still to be built: what is known of it beforehand, so that a server can be there meanwhile."""

from collections.abc import Sequence
from pathlib import Path

import torch

from engine import program as programs
from engine.backends.choice import AUTO
from engine.checkpoint import read_description
from engine.geometry import Geometry
from engine.program import EngineProgram
from engine.runner import Progress
from engine.runtime import Engine, batches_in_flight, checked_buckets, checked_device
from engine.task_vector import TaskVector
from engine.tower_plan import TowerPlan


class EnginePlan:
    """Reads the model's description alone; raises CheckpointError and EngineError for what could never be built."""

    def __init__(
        self,
        model: Path,
        *,
        slots: int,
        buckets: Sequence[int] | None,
        backend: str = AUTO,
        device: str = "cpu",
        cache: Path | None = None,
        tower: TowerPlan | None = None,
        lean: bool = False,
    ) -> None:
        """`tower` is what classifies beside the model, once it is needed; `lean` as in `Engine`."""
        config, self.fingerprint = read_description(model)
        self.model_name = config.name
        self.device: torch.device = checked_device(device)
        self.buckets = checked_buckets(buckets, self.device)
        self.tower = tower
        self.geometry = Geometry(config.mae.image_size, config.mae.patch_size)
        self._mae, self._program = config.mae, programs.zero_shot(self.geometry)
        self._model, self._slots, self._backend, self._cache, self._lean = model, slots, backend, cache, lean

    @property
    def max_batch(self) -> int:
        """The largest bucket of the model's programs."""
        return self.buckets[-1]

    def batch_sizes(self, program: EngineProgram) -> Sequence[int]:
        """The buckets of a program, ascending."""
        return self.tower.buckets if program == "classify" and self.tower else self.buckets

    @property
    def in_flight(self) -> int:
        """As the engine's."""
        return batches_in_flight(self.device)

    def check_vector(self, vector: TaskVector) -> None:
        """Raises ModelMismatch for a task vector of another model."""
        vector.check(self._mae, self._program, self.fingerprint)

    def build(self, progress: Progress) -> Engine:
        """Takes seconds from a filled cache, else up to many minutes; `progress` is told what is being made."""
        return Engine.load(
            self._model,
            slots=self._slots,
            buckets=self.buckets,
            backend=self._backend,
            device=str(self.device),
            cache=self._cache,
            progress=progress,
            lean=self._lean,
        )
