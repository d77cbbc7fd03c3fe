"""`vtv bench peers`'s results: medians over the passes, as JSON, a table and a picture."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.peers.accelerator import images_per_second
from benchmarks.peers.contest import Contest, Row
from benchmarks.peers.entries import OURS, PEERS
from benchmarks.plots import latency_plot
from benchmarks.summary import Summary

_WORKLOADS: Final = {"one": "one task", "five": "five tasks, mixed"}


def as_json(contest: Contest) -> dict[str, Any]:
    """Every row of every pass, and who ran with what."""
    return {
        "kind": contest.kind,
        "image_bytes": len(contest.image),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "accelerator_images_per_second": images_per_second() if contest.kind == "simulated" else None,
        "requirements": {name: PEERS[name].requirements.read_text().split() for name in contest.pythons},
        "failures": contest.failures,
        "rows": [{"server": row.server, "workload": row.workload, **asdict(row.load)} for row in contest.rows],
    }


def table(contest: Contest) -> str:
    """For people: a block for each workload, ours first, then by throughput."""
    lines: list[str] = []
    if contest.kind == "simulated":
        lines.append(f"simulated accelerator, {images_per_second():.0f} images/s at most; {os.cpu_count()} cores")
    for workload, words in _WORKLOADS.items():
        rows = [row for row in contest.rows if row.workload == workload]
        if rows:
            lines += ["", words, *_block(rows)]
    return "\n".join([*lines, *(f"failed: {failure}" for failure in contest.failures)])


def _block(rows: Sequence[Row]) -> list[str]:
    clients = sorted({row.load.clients for row in rows if row.load.clients})
    rates = sorted({row.load.offered_per_second for row in rows if row.load.offered_per_second})
    fastest = {row.server: _rate(_of(rows, row.server, clients[-1])) for row in rows}
    servers = sorted(fastest, key=lambda name: (name != OURS, -fastest[name]))
    ours = fastest.get(OURS, 0.0)
    heads = "".join(f"{f'c={count}':>9}" for count in clients)
    heads += f"{'p50/p99 ms':>16}{'ours is':>9}" + "".join(f"{f'p50/p99 at {rate:.0f}/s':>22}" for rate in rates)
    lines = [f"{'requests/s':<20}{heads}  errors"]
    for name in servers:
        most = _of(rows, name, clients[-1])
        cells = "".join(f"{_rate(_of(rows, name, count)):>9.0f}" for count in clients)
        factor = f"{ours / fastest[name]:.2f}x" if ours and fastest[name] else "-"
        cells += f"{_times(most):>16}{factor:>9}"
        cells += "".join(f"{_times(_of(rows, name, None, rate)):>22}" for rate in rates)
        lines.append(f"{name:<20}{cells}  {_errors(rows, name)}")
    return lines


def _of(rows: Sequence[Row], name: str, clients: int | None, rate: float | None = None) -> list[Summary]:
    """A load of a server, once for each pass."""
    loads = [row.load for row in rows if row.server == name]
    return [load for load in loads if load.clients == clients and load.offered_per_second == rate]


def _median(loads: Sequence[Summary], value: Callable[[Summary], float]) -> float:
    return median(map(value, loads)) if loads else 0.0


def _rate(loads: Sequence[Summary]) -> float:
    return _median(loads, lambda load: load.requests_per_second)


def _times(loads: Sequence[Summary]) -> str:
    p50 = _median(loads, lambda load: load.percentile("p50"))
    p99 = _median(loads, lambda load: load.percentile("p99"))
    return f"{p50:.1f}/{p99:.1f}"


def _errors(rows: Sequence[Row], name: str) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        for code, count in row.load.errors.items() if row.server == name else ():
            counts[code] = counts.get(code, 0) + count
    return ", ".join(f"{count} x {code}" for code, count in counts.items()) or "-"


def plot(path: Path, rows: Sequence[Row]) -> None:
    """p50 of the closed loops of every server, one task, of each the middle pass. Raises PlotsUnavailable."""
    rows = [row for row in rows if row.load.clients and row.workload == "one"]
    counts = sorted({row.load.clients for row in rows if row.load.clients})
    curves = {row.server: [(_middle(_of(rows, row.server, count)), "p50") for count in counts] for row in rows}
    latency_plot(path, "one task, closed loops: p50", curves)


def _middle(loads: Sequence[Summary]) -> Summary:
    """Of several passes, the one whose throughput is the median."""
    return sorted(loads, key=lambda load: load.requests_per_second)[(len(loads) - 1) // 2]
