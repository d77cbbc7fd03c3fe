"""Loads one server, row by row, and keeps count for the cross-check with its metrics."""

from collections import Counter
from typing import Final

from benchmarks.cross_check import counted_by_server, disagreement
from benchmarks.generators import Arrivals, closed_loop, open_loop, run
from benchmarks.summary import Summary, summarise
from benchmarks.traffic import Mix, Sent


class LoadRun:
    """Every row is `seconds` of `mix` at `url`; goodput is counted within `bound_ms`."""

    def __init__(
        self, url: str, mix: Mix, seconds: float, warm_up: float, bound_ms: float, arrivals: Arrivals = "poisson"
    ) -> None:
        self._url: Final = url
        self._mix: Final = mix
        self._seconds: Final = seconds
        self._warm_up: Final = warm_up
        self._bound_ms: Final = bound_ms
        self._arrivals: Final = arrivals
        self._sent: list[Sent] = []
        self._counted: Counter[str] | None = None

    def warm(self, clients: int) -> None:
        """Load that no row counts; the cross-check begins after it."""
        if self._warm_up:
            run(closed_loop(self._url, self._mix, clients, self._warm_up))
        self._counted = counted_by_server(self._url)

    def closed(self, clients: int) -> Summary:
        """A closed loop of `clients`."""
        sent = run(closed_loop(self._url, self._mix, clients, self._seconds))
        self._sent += sent
        return summarise(sent, self._bound_ms, clients=clients)

    def open(self, rate: float) -> Summary:
        """An open loop of `rate` requests a second."""
        sent = run(open_loop(self._url, self._mix, rate, self._seconds, self._arrivals))
        self._sent += sent
        return summarise(sent, self._bound_ms, rate=rate)

    def disagreement(self) -> dict[str, int] | None:
        """What the server counted otherwise since `warm`, by status; None where it does not count."""
        counted = counted_by_server(self._url)
        if self._counted is None or counted is None:
            return None
        return disagreement(self._counted, counted, self._sent)
