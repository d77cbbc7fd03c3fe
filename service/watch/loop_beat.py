"""The event loop's beat: how late it is, and that it beats at all."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from service.ending import LOOP_HANGS

_PERIOD: Final = 0.25


class LoopBeat:
    """A `Check` of the event loop that `run` runs on."""

    code = LOOP_HANGS

    def __init__(self, seconds: float, observe: Callable[[float], None]) -> None:
        """It hangs when it says nothing for so many `seconds`; `observe` is told how many each beat came late."""
        self._seconds, self._observe = seconds, observe
        self._last: float | None = None
        self.on_beat: Callable[[], None] = lambda: None
        """Called at each beat, on the event loop."""

    async def run(self) -> None:
        """Beat until cancelled."""
        try:
            while True:
                self._last = monotonic()
                self.on_beat()
                await asyncio.sleep(_PERIOD)
                self._observe(max(0.0, monotonic() - self._last - _PERIOD))
        finally:
            self._last = None

    def overdue(self) -> str | None:
        last = self._last
        silent = 0.0 if last is None else monotonic() - last
        return f"the event loop has done nothing for {silent:.0f} s" if silent > self._seconds else None
