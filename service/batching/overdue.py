"""Whether the engine hangs: at a batch, at a write into the bank, or while it is built again."""

from collections.abc import Callable
from typing import Final

from service.batching.batcher import Batcher
from service.batching.supervisor import Supervisor
from service.ending import ENGINE_HANGS

_TIMES_EXPECTED: Final = 20.0
_LEAST_SECONDS: Final = 10.0
"""However short a batch is expected to be: a machine may stand still for a moment."""
_UNKNOWN_SECONDS: Final = 120.0
"""Where no batch of its size was seen."""
_TIMES_BUILT: Final = 5.0
_LEAST_REBUILD_SECONDS: Final = 120.0


def seconds_allowed(expected: float) -> float:
    """How long a batch may take that is expected to take so long; infinity stands for unknown."""
    return max(_LEAST_SECONDS, _TIMES_EXPECTED * expected) if expected < float("inf") else _UNKNOWN_SECONDS


class OverdueBatch:
    """A `service.watch.watchdog.Check` of what the engine's thread is at."""

    code = ENGINE_HANGS

    def __init__(self, batcher: Batcher, allowed: Callable[[float], float] = seconds_allowed) -> None:
        """`allowed` gives the limit for an expected time."""
        self._batcher, self._allowed = batcher, allowed

    def overdue(self) -> str | None:
        taken, expected = self._batcher.under_way() or (0.0, 0.0)
        if taken <= self._allowed(expected):
            return None
        return f"a batch has taken {taken:.1f} s, {expected:.3f} s were expected: the engine hangs"


class OverdueRebuild:
    """A `Check` of the thread that replaces an engine that failed. The first build may take as long as it likes."""

    code = ENGINE_HANGS

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def overdue(self) -> str | None:
        taken, first = self._supervisor.rebuilding()
        if taken <= max(_LEAST_REBUILD_SECONDS, _TIMES_BUILT * first):
            return None
        return f"the engine has been built again for {taken:.0f} s, {first:.0f} s at first: its builder hangs"
