"""What the batcher needs of an engine; `engine.runtime.Engine` is one."""

from collections.abc import Sequence
from typing import Protocol

import torch

from engine.classification.head import Head
from engine.classifier import Classifier
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from engine.runner import Pending
from engine.task_vector import TaskVector
from engine.tower_plan import TowerPlan


class BatchSizes(Protocol):
    """What is known of an engine before it is built."""

    def batch_sizes(self, program: EngineProgram) -> Sequence[int]:
        """Those that a program runs at, ascending: others are padded up."""
        ...

    @property
    def in_flight(self) -> int:
        """Batches that may be submitted and not collected."""
        ...


class BatchEngine(Protocol):
    """An engine, driven by one thread. Batches and slot writes take effect in the order of the calls."""

    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, content: TaskVector | Head) -> None: ...
    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Pending:
        """Start a batch, or compute it where `in_flight` is 1. For one_shot `slots` do not count."""
        ...


class ServedEngine(BatchSizes, Protocol):
    """What a server has to know before the engine is built; `engine.plan.EnginePlan` tells it."""

    @property
    def max_batch(self) -> int:
        """Pictures that the model paints at once, at most."""
        ...

    @property
    def model_name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def geometry(self) -> Geometry: ...
    @property
    def tower(self) -> TowerPlan | None:
        """What classifies beside the model, once it is needed; None where nothing does."""
        ...

    def check_vector(self, vector: TaskVector) -> None:
        """Raises ModelMismatch for a task vector of another model."""
        ...


class BuiltEngine(BatchEngine, Protocol):
    """An engine that tells what computes."""

    classifier: Classifier | None
    """May be set while it serves."""

    @property
    def backend(self) -> str: ...
    @property
    def backend_version(self) -> str:
        """Of every library that computes."""
        ...

    @property
    def fallbacks(self) -> Sequence[str]:
        """Each better backend and why it does not run: "NAME: why"."""
        ...
