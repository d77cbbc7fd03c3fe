"""How the batcher drives an engine: launch a batch, collect its answers later."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

import torch

from engine.task_vector import TaskVector
from service.batching.jobs import Pixels, Program

Collect = Callable[[], Pixels]
"""Blocks until a launched batch is done; gives its answers, or raises what went wrong."""

_AHEAD: Final = 2


class BatchEngine(Protocol):
    """An engine, driven by one thread."""

    @property
    def max_batch(self) -> int: ...
    @property
    def buckets(self) -> Sequence[int]: ...
    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, vector: TaskVector) -> None: ...
    def zero_shot(self, tiles: Pixels, slots: Sequence[int]) -> Pixels: ...
    def one_shot(self, canvases: Pixels) -> Pixels: ...


class Pending(Protocol):
    """A batch under way."""

    def result(self) -> Pixels: ...


@runtime_checkable
class SubmittingEngine(Protocol):
    """An engine that can compute while the processor prepares the next batch.

    Batches and slot writes take effect in the order of the calls, on a GPU that of its stream.
    """

    @property
    def device(self) -> torch.device: ...
    def submit(self, tiles: Pixels, slots: Sequence[int]) -> Pending:
        """Begin with a zero-shot batch. `tiles` may be reused as soon as this returns."""
        ...


class Launcher:
    """Any engine as one that launches: where nothing computes beside the processor, one batch at a time."""

    def __init__(self, engine: BatchEngine) -> None:
        self._engine = engine
        self._ahead = engine if isinstance(engine, SubmittingEngine) and engine.device.type != "cpu" else None
        self.depth = _AHEAD if self._ahead else 1
        """Batches that may be launched and not collected at once."""

    def launch(self, program: Program, pixels: Pixels, slots: Sequence[int]) -> Collect:
        """`slots` are for zero-shot rows."""
        if program == "zero_shot" and self._ahead:
            return self._ahead.submit(pixels, slots).result
        answers = self._engine.zero_shot(pixels, slots) if program == "zero_shot" else self._engine.one_shot(pixels)
        return lambda: answers
