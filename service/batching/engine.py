"""What the batcher needs of an engine; `engine.runtime.Engine` is one."""

from collections.abc import Sequence
from typing import Protocol

from engine.geometry import Pixels
from engine.program import ProgramName
from engine.runner import Pending
from engine.task_vector import TaskVector


class BatchEngine(Protocol):
    """An engine, driven by one thread. Batches and slot writes take effect in the order of the calls."""

    @property
    def max_batch(self) -> int: ...
    @property
    def buckets(self) -> Sequence[int]: ...
    @property
    def in_flight(self) -> int:
        """Batches that may be submitted and not collected."""
        ...

    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, vector: TaskVector) -> None: ...
    def submit(self, program: ProgramName, pixels: Pixels, slots: Sequence[int]) -> Pending:
        """Start a batch, or compute it where `in_flight` is 1. `slots` count for zero_shot only."""
        ...
