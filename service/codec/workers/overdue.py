"""Ends codec processes that say nothing: those that were stopped, and those whose picture takes longer than any may."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

log: Final = logging.getLogger("vtv.codec")
_PERIOD: Final = 1.0


class Silent(Protocol):
    """What is asked of a process here."""

    def silent_for(self, now: float) -> float:
        """Seconds since it was last heard of, or given work; 0 where it has none."""

    def kill(self) -> None:
        """End it, whatever it does."""


async def end_overdue(processes: Callable[[], Iterable[Silent]], seconds: float, period: float = _PERIOD) -> None:
    """Look at the processes once a period, for ever, and kill those that were silent for so many seconds.

    Two looks in a row must find them silent: after the first, a server that was halted as a whole hears what they had
    said meanwhile.
    """
    loop = asyncio.get_running_loop()
    before: set[Silent] = set()
    while True:
        await asyncio.sleep(period)
        silent = {process for process in processes() if process.silent_for(loop.time()) > seconds}
        for process in silent & before:
            log.error("a codec process said nothing for %.0f s over a picture: it is killed", seconds)
            process.kill()
        before = silent - before
