"""What the batcher needs of an engine; `engine.runtime.Engine` is one."""

from collections.abc import Sequence
from typing import Protocol

import torch

from engine.geometry import Geometry, Pixels
from engine.program import ProgramName
from engine.runner import Pending
from engine.task_vector import TaskVector


class BatchSizes(Protocol):
    """What is known of an engine before it is built."""

    @property
    def max_batch(self) -> int: ...
    @property
    def buckets(self) -> Sequence[int]: ...
    @property
    def in_flight(self) -> int:
        """Batches that may be submitted and not collected."""
        ...


class BatchEngine(Protocol):
    """An engine, driven by one thread. Batches and slot writes take effect in the order of the calls."""

    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, vector: TaskVector) -> None: ...
    def submit(self, program: ProgramName, pixels: Pixels, slots: Sequence[int]) -> Pending:
        """Start a batch, or compute it where `in_flight` is 1. `slots` count for zero_shot only."""
        ...


class ServedEngine(BatchSizes, Protocol):
    """What a server has to know before the engine is built; `engine.plan.EnginePlan` tells it."""

    @property
    def model_name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def geometry(self) -> Geometry: ...
    def check_vector(self, vector: TaskVector) -> None:
        """Raises ModelMismatch for a task vector of another model."""
        ...


class BuiltEngine(BatchEngine, Protocol):
    """An engine that tells what computes."""

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
