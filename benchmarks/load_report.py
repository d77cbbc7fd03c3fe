"""`vtv bench load`'s results, as JSON and as a table."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.one_client import Wait
from benchmarks.summary import PERCENTILES, Summary
from benchmarks.sweep import knee


@dataclass(slots=True)
class Report:
    """Everything found; `disagreement` where the server counts requests."""

    rows: list[Summary]
    about: dict[str, Any]
    disagreement: dict[str, int] | None
    images: int = 1
    """In each request."""
    wait: Wait | None = None
    """Of one client."""
    swept: bool = False

    def over_raw(self, row: Summary) -> float | None:
        """Images answered over those of the engine alone around that load."""
        return row.requests_per_second * self.images / row.engine.images_per_second if row.engine else None


def as_json(report: Report) -> dict[str, Any]:
    """Plain JSON types."""
    shares = [share for row in report.rows if (share := report.over_raw(row)) is not None]
    found = knee(report.rows) if report.swept else None
    return {
        **report.about,
        "images_per_request": report.images,
        "served_over_raw": max(shares, default=None),
        "one_client": asdict(report.wait) if report.wait else None,
        "knee_per_second": found.offered_per_second if found else None,
        "metrics_disagree": report.disagreement,
        "rows": [asdict(row) for row in report.rows],
    }


def table(report: Report) -> str:
    """For people."""
    lines = ["  ".join(f"{key} {value}" for key, value in report.about.items() if key != "tasks")]
    heads = "".join(f"{name + ' ms':>10}" for name in PERCENTILES)
    lines.append(f"{'load':>12} {'requests/s':>11} {'goodput/s':>10} {'engine/s':>9} {'served/raw':>11}{heads}  errors")
    lines += [_row(row, report.over_raw(row)) for row in report.rows]
    if wait := report.wait:
        lines.append(
            f"one client waits {wait.step_ms:.2f} ms for the engine's step, "
            f"{wait.codec_ms:.2f} for decoding and encoding, {wait.added_ms:.2f} for all else"
        )
    if report.swept:
        lines.append(_knee(report.rows))
    if report.disagreement is not None:
        lines.append(f"/metrics: {_differences(report.disagreement)}")
    return "\n".join(lines)


def _row(row: Summary, over_raw: float | None) -> str:
    load = f"{row.clients} clients" if row.clients else f"{row.offered_per_second:.0f}/s"
    alone = f"{row.engine.images_per_second:.1f}" if row.engine else "-"
    share = "-" if over_raw is None else f"{over_raw:.2f}"
    rates = f"{row.requests_per_second:>11.1f} {row.goodput_per_second:>10.1f} {alone:>9} {share:>11}"
    times = "".join(f"{row.percentile(name):>10.1f}" for name in PERCENTILES)
    errors = ", ".join(f"{count} x {code}" for code, count in row.errors.items()) or "-"
    return f"{load:>12} {rates}{times}  {errors}"


def _knee(rows: list[Summary]) -> str:
    found = knee(rows)
    if found is None:
        return f"no knee: not even {rows[0].offered_per_second:.0f}/s were answered within {rows[0].bound_ms:.0f} ms"
    return f"knee: {found.offered_per_second:.0f}/s, 99 of 100 answered within {found.bound_ms:.0f} ms"


def _differences(disagreement: dict[str, int]) -> str:
    if not disagreement:
        return "agrees with every request"
    return ", ".join(f"{difference:+d} x {code}" for code, difference in disagreement.items())
