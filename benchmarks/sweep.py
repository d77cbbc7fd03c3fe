"""Finds the knee: the highest rate at which the server still answers within a bound."""

from collections.abc import Callable
from typing import Final

from artifacts.console import say
from benchmarks.summary import Summary

_SHARES: Final = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1)
"""Of what a closed loop reached."""
_HALVINGS: Final = 3


def sweep(measure: Callable[[float], Summary], capacity: float) -> list[Summary]:
    """Open loops at rising rates until one is not kept up with, then closer and closer to the knee.

    `measure` runs one at a rate; `capacity` is the throughput of a closed loop, in requests/s. Ascending rates.
    """
    rows: list[Summary] = []
    good, bad = 0.0, None
    for share in _SHARES:
        say(f"{share * capacity:.1f} requests/s")
        rows.append(measure(share * capacity))
        if not rows[-1].keeps_up:
            bad = share * capacity
            break
        good = share * capacity
    for _ in range(_HALVINGS if bad else 0):
        assert bad is not None
        rate = (good + bad) / 2
        say(f"{rate:.1f} requests/s")
        rows.append(measure(rate))
        good, bad = (rate, bad) if rows[-1].keeps_up else (good, rate)
    return sorted(rows, key=lambda row: row.offered_per_second or 0)


def knee(rows: list[Summary]) -> Summary | None:
    """The row of the highest rate below which every rate was kept up with; None where none was."""
    best = None
    for row in rows:
        if not row.keeps_up:
            break
        best = row
    return best
