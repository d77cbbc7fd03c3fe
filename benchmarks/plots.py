"""Latency against throughput, as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.errors import BenchError
from benchmarks.summary import Summary


class PlotsUnavailable(BenchError):
    """matplotlib is not installed; the message says how to get it."""


def latency_plot(path: Path, title: str, curves: Mapping[str, Sequence[tuple[Summary, str]]]) -> None:
    """Write a PNG with a curve for each name: rows, and which percentile of them. Raises PlotsUnavailable."""
    try:
        import matplotlib
    except ImportError:
        raise PlotsUnavailable("plots need matplotlib: pip install 'visual-task-vectors[bench]'") from None
    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        shown = [(row.requests_per_second, row.percentile(which)) for row, which in points if row.latency_ms]
        axes.plot([x for x, _ in shown], [y for _, y in shown], marker="o", label=name)
    axes.set(title=title, xlabel="good answers a second", ylabel="latency, ms", yscale="log")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
