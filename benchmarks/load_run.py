"""Loads one server, row by row, and keeps count for the cross-check with its metrics."""

from dataclasses import replace
from typing import Final

from benchmarks.generators import Arrivals, closed_loop, open_loop, run
from benchmarks.one_client import Wait, take_turns
from benchmarks.raw_engine import RawEngine
from benchmarks.raw_speed import RawSpeed
from benchmarks.server_metrics import Counted, counted_by_server, disagreement
from benchmarks.summary import Summary, summarise
from benchmarks.traffic import Mix, Sent


class LoadRun:
    """Every row is `seconds` of `mix` at `url`; goodput is counted within `bound_ms`.

    `engine` is the engine alone; it is measured before the first row and after each, for as long.
    """

    def __init__(
        self,
        url: str,
        mix: Mix,
        seconds: float,
        bound_ms: float,
        arrivals: Arrivals = "poisson",
        engine: RawEngine | None = None,
    ) -> None:
        self._url: Final = url
        self._mix: Final = mix
        self._seconds: Final = seconds
        self._bound_ms: Final = bound_ms
        self._arrivals: Final = arrivals
        self._engine: Final = engine
        self._before: RawSpeed | None = None
        self._sent: list[Sent] = []
        self._counted: Counted | None = None

    def warm(self, clients: int, seconds: float) -> None:
        """Load that no row counts; the cross-check begins after it."""
        if seconds:
            run(closed_loop(self._url, self._mix, clients, seconds))
        self._counted = counted_by_server(self._url)
        self._before = self._engine.measure(self._seconds) if self._engine else None

    def closed(self, clients: int) -> Summary:
        """A closed loop of `clients`."""
        return self._row(run(closed_loop(self._url, self._mix, clients, self._seconds)), clients=clients)

    def open(self, rate: float) -> Summary:
        """An open loop of `rate` requests a second."""
        return self._row(run(open_loop(self._url, self._mix, rate, self._seconds, self._arrivals)), rate=rate)

    def one_client(self) -> Wait | None:
        """What it waits for, against the engine's own step; None where that cannot be told."""
        if self._engine is None:
            return None
        sent, wait = run(take_turns(self._url, self._mix, self._engine.step, 2 * self._seconds))
        self._sent += sent
        return wait

    def _row(self, sent: list[Sent], clients: int | None = None, rate: float | None = None) -> Summary:
        self._sent += sent
        row = summarise(sent, self._bound_ms, clients=clients, rate=rate)
        if self._engine is None or self._before is None:
            return row
        after = self._engine.measure(self._seconds)
        row = replace(row, engine=RawSpeed.mean([self._before, after]))
        self._before = after
        return row

    def disagreement(self) -> dict[str, int] | None:
        """What the server counted otherwise since `warm`, by status; None where it does not count."""
        counted = counted_by_server(self._url)
        if self._counted is None or counted is None:
            return None
        return disagreement(self._counted, counted, self._sent)
