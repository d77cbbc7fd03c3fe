"""Whose turn the engine is: programs share its time, however much of one kind waits.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over programs in place of flows: a program's clock counts
the engine's seconds that it had, and of those that wait the one whose clock is behind goes first. Who has not waited
for a while starts at the clock of whoever was served last: rest earns no credit.
"""

from collections.abc import Iterable
from typing import Final

from engine.program import EngineProgram


class FairShare:
    """Not thread-safe: one owner calls it."""

    def __init__(self, programs: Iterable[EngineProgram]) -> None:
        self._clocks: Final[dict[EngineProgram, float]] = dict.fromkeys(programs, 0.0)
        self._now = 0.0
        """The clock of the program that was served last, when its batch began."""

    def arrived(self, program: EngineProgram) -> None:
        """Somebody waits for a program, for which nobody waited before."""
        self._clocks[program] = max(self._clocks[program], self._now)

    def clock(self, program: EngineProgram) -> float:
        """Seconds; the least goes first."""
        return self._clocks[program]

    def launched(self, program: EngineProgram, seconds: float) -> None:
        """A batch begins that is expected to take so long."""
        self._now = max(self._now, self._clocks[program])
        self._clocks[program] += seconds

    def corrected(self, program: EngineProgram, seconds: float) -> None:
        """It took so much longer than expected."""
        self._clocks[program] += seconds
