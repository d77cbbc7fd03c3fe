"""`vtv bench load`'s results, as JSON and as a table."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.raw_engine import RawEngine
from benchmarks.summary import PERCENTILES, Summary
from benchmarks.sweep import knee


@dataclass(slots=True)
class Report:
    """Everything found; `raw` where the engine was measured, `disagreement` where the server counts requests."""

    rows: list[Summary]
    about: dict[str, Any]
    disagreement: dict[str, int] | None
    swept: bool = False
    raw: RawEngine | None = None


def as_json(report: Report) -> dict[str, Any]:
    """Plain JSON types."""
    raw = report.raw
    best = max(row.requests_per_second for row in report.rows)
    found = knee(report.rows) if report.swept else None
    return {
        **(raw.about if raw else {}),
        **report.about,
        "raw_images_per_second": raw.images_per_second if raw else None,
        "raw_bucket": raw.bucket if raw else None,
        "served_over_raw": best / raw.images_per_second if raw else None,
        "knee_per_second": found.offered_per_second if found else None,
        "metrics_disagree": report.disagreement,
        "rows": [asdict(row) for row in report.rows],
    }


def table(report: Report) -> str:
    """For people."""
    about = (report.raw.about if report.raw else {}) | report.about
    lines = ["  ".join(f"{key} {value}" for key, value in about.items() if key != "tasks")]
    if report.raw:
        lines.append(f"engine alone: {report.raw.images_per_second:.1f} images/s at batch {report.raw.bucket}")
    heads = "".join(f"{name + ' ms':>10}" for name in PERCENTILES)
    lines.append(f"{'load':>12} {'requests/s':>11} {'goodput/s':>10} {'served/raw':>11}{heads}  errors")
    lines += [_row(row, report.raw) for row in report.rows]
    if report.swept:
        lines.append(_knee(report.rows))
    if report.disagreement is not None:
        lines.append(f"/metrics: {_differences(report.disagreement)}")
    return "\n".join(lines)


def _row(row: Summary, raw: RawEngine | None) -> str:
    load = f"{row.clients} clients" if row.clients else f"{row.offered_per_second:.0f}/s"
    share = f"{row.requests_per_second / raw.images_per_second:.2f}" if raw else "-"
    times = "".join(f"{row.percentile(name):>10.1f}" for name in PERCENTILES)
    errors = ", ".join(f"{count} x {code}" for code, count in row.errors.items()) or "-"
    return f"{load:>12} {row.requests_per_second:>11.1f} {row.goodput_per_second:>10.1f} {share:>11}{times}  {errors}"


def _knee(rows: list[Summary]) -> str:
    found = knee(rows)
    if found is None:
        return f"no knee: not even {rows[0].offered_per_second:.0f}/s were answered within {rows[0].bound_ms:.0f} ms"
    return f"knee: {found.offered_per_second:.0f}/s, 99 of 100 answered within {found.bound_ms:.0f} ms"


def _differences(disagreement: dict[str, int]) -> str:
    if not disagreement:
        return "agrees with every request"
    return ", ".join(f"{difference:+d} x {code}" for code, difference in disagreement.items())
