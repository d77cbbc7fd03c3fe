"""Loads one server, row by row, and keeps count for the cross-check with its metrics."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from benchmarks.generators import Arrivals, closed_loop, open_loop, run
from benchmarks.one_client import Wait, take_turns
from benchmarks.raw_engine import RawEngine
from benchmarks.raw_speed import RawSpeed
from benchmarks.server_metrics import Counted, counted_by_server, disagreement
from benchmarks.summary import Summary, summarise
from benchmarks.traffic import Mix, Sent

_TURN_SECONDS: Final = 2.5


class LoadRun:
    """Every row is `seconds` of `mix` at `url`; goodput is counted within `bound_ms`.

    `engine` is the engine alone, measured for as long as each row: in turns with a closed loop, as a machine's speed
    drifts, before and after an open one, which nothing may interrupt.
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
        self._sent: list[Sent] = []
        self._counted: Counted | None = None

    def warm(self, clients: int, seconds: float) -> None:
        """Load that no row counts; the cross-check begins after it."""
        if seconds:
            run(closed_loop(self._url, self._mix, clients, seconds))
        self._counted = counted_by_server(self._url)

    def closed(self, clients: int) -> Summary:
        """A closed loop of `clients`."""
        turns = max(1, round(self._seconds / _TURN_SECONDS)) if self._engine else 1
        parts: list[list[Sent]] = []
        speeds: list[RawSpeed] = []
        for _ in range(turns):
            parts.append(run(closed_loop(self._url, self._mix, clients, self._seconds / turns)))
            speeds += self._alone(self._seconds / turns)
        return self._row(parts, speeds, clients=clients)

    def open(self, rate: float) -> Summary:
        """An open loop of `rate` requests a second."""
        speeds = self._alone(self._seconds / 2)
        sent = run(open_loop(self._url, self._mix, rate, self._seconds, self._arrivals))
        return self._row([sent], speeds + self._alone(self._seconds / 2), rate=rate)

    def one_client(self) -> Wait | None:
        """What it waits for, against the engine's own step; None where that cannot be told."""
        if self._engine is None:
            return None
        sent, wait = run(take_turns(self._url, self._mix, self._engine.step, 2 * self._seconds))
        self._sent += sent
        return wait

    def _alone(self, seconds: float) -> list[RawSpeed]:
        return [self._engine.measure(seconds)] if self._engine else []

    def _row(
        self,
        parts: Sequence[list[Sent]],
        speeds: Sequence[RawSpeed],
        clients: int | None = None,
        rate: float | None = None,
    ) -> Summary:
        self._sent += chain.from_iterable(parts)
        row = summarise(parts, self._bound_ms, clients=clients, rate=rate)
        return replace(row, engine=RawSpeed.mean(speeds)) if speeds else row

    def disagreement(self) -> dict[str, int] | None:
        """What the server counted otherwise since `warm`, by status; None where it does not count."""
        counted = counted_by_server(self._url)
        if self._counted is None or counted is None:
            return None
        return disagreement(self._counted, counted, self._sent)
