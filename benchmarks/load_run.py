"""Loads one server, row by row, and keeps count for the cross-check with its metrics."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from benchmarks.generators import Arrivals, closed_loop, open_loop, run
from benchmarks.raw_speed import RawSpeed
from benchmarks.server_metrics import Counted, codec_ms, counted_by_server, disagreement
from benchmarks.summary import Summary, summarise
from benchmarks.traffic import Mix, Sent


class LoadRun:
    """Every row is `seconds` of `mix` at `url`; goodput is counted within `bound_ms`.

    `engine` measures the engine alone; it is asked before the first row and after each.
    """

    def __init__(
        self,
        url: str,
        mix: Mix,
        seconds: float,
        bound_ms: float,
        arrivals: Arrivals = "poisson",
        engine: Callable[[], RawSpeed] | None = None,
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
        self.codec_ms: float | None = None
        """Decoding and encoding an image while one client asked; None where nobody counted it."""

    def warm(self, clients: int, seconds: float) -> None:
        """Load that no row counts; the cross-check begins after it."""
        if seconds:
            run(closed_loop(self._url, self._mix, clients, seconds))
        self._counted = counted_by_server(self._url)
        self._before = self._engine() if self._engine else None

    def closed(self, clients: int) -> Summary:
        """A closed loop of `clients`."""
        before = counted_by_server(self._url)
        sent = run(closed_loop(self._url, self._mix, clients, self._seconds))
        after = counted_by_server(self._url)
        if clients == 1 and before and after:
            self.codec_ms = codec_ms(before, after)
        return self._row(sent, clients=clients)

    def open(self, rate: float) -> Summary:
        """An open loop of `rate` requests a second."""
        return self._row(run(open_loop(self._url, self._mix, rate, self._seconds, self._arrivals)), rate=rate)

    def _row(self, sent: list[Sent], clients: int | None = None, rate: float | None = None) -> Summary:
        self._sent += sent
        row = summarise(sent, self._bound_ms, clients=clients, rate=rate)
        if self._engine is None or self._before is None:
            return row
        after = self._engine()
        row = replace(row, engine=RawSpeed.mean([self._before, after]))
        self._before = after
        return row

    def disagreement(self) -> dict[str, int] | None:
        """What the server counted otherwise since `warm`, by status; None where it does not count."""
        counted = counted_by_server(self._url)
        if self._counted is None or counted is None:
            return None
        return disagreement(self._counted, counted, self._sent)
