"""Ends a process of which a part hangs: what never returns raises nothing, and only a new process helps."""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from service.ending import in_time

log: Final = logging.getLogger("vtv.watchdog")
_PERIOD: Final = 1.0


class Check(Protocol):
    """A part that may hang."""

    @property
    def code(self) -> int:
        """The process's exit code where it does."""

    def overdue(self) -> str | None:
        """What is late, in words; None where nothing is. Returns at once."""


class Watchdog:
    """Looks at every part, once a period, on a thread of its own.

    Two looks in a row must find a part late: after the first, a process that was halted as a whole goes on.
    """

    def __init__(self, checks: Sequence[Check], end: Callable[[int], object], period: float = _PERIOD) -> None:
        """`end` is called once, with an exit code, and is not expected to return."""
        self._checks, self._end, self._period = tuple(checks), end, period
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        late: set[Check] = set()
        while not self._stopping.wait(self._period):
            now = {check: words for check in self._checks if (words := check.overdue())}
            for check in now.keys() & late:
                words = f"{now[check]}: the process ends with {check.code}"
                if not in_time(partial(log.critical, words)):
                    os.write(sys.stderr.fileno(), f"{words}\n".encode())
                faulthandler.dump_traceback(sys.stderr)  # where each thread stands
                self._end(check.code)
                return
            late = set(now)
