"""How the batcher drives an engine: launch a batch, collect its answers later."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from engine.task_vector import TaskVector
from service.jobs import Pixels, Program

Collect = Callable[[], Pixels]
"""Blocks until a launched batch is done; gives its answers, or raises what went wrong."""


class BatchEngine(Protocol):
    """An engine, driven by one thread."""

    @property
    def max_batch(self) -> int: ...
    def warm_up(self) -> None: ...
    def write_slot(self, slot: int, vector: TaskVector) -> None: ...
    def zero_shot(self, tiles: Pixels, slots: Sequence[int]) -> Pixels: ...
    def one_shot(self, canvases: Pixels) -> Pixels: ...


@runtime_checkable
class LaunchingEngine(Protocol):
    """What an engine offers beside, where it can compute while the processor prepares the next batch.

    Launches and slot writes take effect in the order of the calls, on a GPU that of its stream.
    """

    @property
    def depth(self) -> int:
        """Batches that may be launched and not collected at once."""
        ...

    def launch(self, program: Program, pixels: Pixels, slots: Sequence[int]) -> Collect:
        """Begin with a batch and return at once. `pixels` may be reused as soon as this returns."""
        ...


class Launcher:
    """Any engine as one that launches: without help of its own it computes when launched, one batch at a time."""

    def __init__(self, engine: BatchEngine) -> None:
        self._engine = engine
        self._own = engine if isinstance(engine, LaunchingEngine) else None
        self.depth = self._own.depth if self._own else 1

    def launch(self, program: Program, pixels: Pixels, slots: Sequence[int]) -> Collect:
        if self._own:
            return self._own.launch(program, pixels, slots)
        answers = self._engine.zero_shot(pixels, slots) if program == "zero_shot" else self._engine.one_shot(pixels)
        return lambda: answers
