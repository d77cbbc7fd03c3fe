"""Ends a process whose engine hangs: a kernel that never returns raises nothing, and only a new process helps."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from service.batching.batcher import Batcher

log: Final = logging.getLogger("vtv.watchdog")
_TIMES_EXPECTED: Final = 20.0
_LEAST_SECONDS: Final = 10.0
"""However short a batch is expected to be: a machine may stand still for a moment."""
_UNKNOWN_SECONDS: Final = 120.0
"""Where no batch of its size was seen."""
_PERIOD: Final = 1.0


def seconds_allowed(expected: float) -> float:
    """How long a batch may take that is expected to take so long; infinity stands for unknown."""
    return max(_LEAST_SECONDS, _TIMES_EXPECTED * expected) if expected < float("inf") else _UNKNOWN_SECONDS


class Watchdog:
    """Looks at the batch that is computed, once a period, on a thread of its own.

    Two looks in a row must find it late: after the first, a process that was halted as a whole goes on.
    """

    def __init__(
        self,
        batcher: Batcher,
        end: Callable[[], None],
        allowed: Callable[[float], float] = seconds_allowed,
        period: float = _PERIOD,
    ) -> None:
        """`end` is called once and is not expected to return; `allowed` gives the limit for an expected time."""
        self._batcher, self._end, self._allowed, self._period = batcher, end, allowed, period
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        late = 0
        while not self._stopping.wait(self._period):
            under_way = self._batcher.under_way()
            taken, expected = under_way or (0.0, 0.0)
            late = late + 1 if taken > self._allowed(expected) else 0
            if late == 2:
                log.critical("a batch has taken %.1f s, %.3f s were expected: the engine hangs", taken, expected)
                self._end()
                return
