"""The comparison as a table for people and as JSON."""

from collections.abc import Callable
from typing import Any

from artifacts.evaluation.bootstrap import Interval
from artifacts.taskres.comparison import Comparison
from artifacts.taskres.methods.all import METHODS, OURS


def markdown(comparison: Comparison) -> str:
    """Top-1 accuracy in percent, then by how much the residual is ahead, with paired 95 % intervals; then seconds."""
    seeds = ", ".join(map(str, comparison.seeds))
    pictures = f"{comparison.test} test pictures, mean of seeds {seeds}"
    others = [name for name in METHODS if name != OURS]
    accuracy = _table(comparison, list(METHODS), lambda name, shots: _percent(comparison.cell(name, shots).accuracy))
    ahead = _table(
        comparison,
        others,
        lambda name, shots: _percent(comparison.cell(OURS, shots).ahead_of(comparison.cell(name, shots)), signed=True),
    )
    seconds = _table(comparison, list(METHODS), lambda name, shots: f"{comparison.cell(name, shots).seconds:.1f}")
    return "\n\n".join(
        [
            f"Top-1 accuracy, %; {pictures}:",
            accuracy,
            f"{OURS} less the other, paired, points [95 % interval]:",
            ahead,
            "Seconds to train, features known:",
            seconds,
        ]
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The same, in shares of 1."""
    rows = []
    for cell in comparison.cells:
        ahead = comparison.cell(OURS, cell.shots).ahead_of(cell)
        entry = {"method": cell.method, "shots": cell.shots, "seconds": round(cell.seconds, 3)}
        by_seed = [float(share) for share in cell.right.mean(1)]
        rows.append({**entry, "accuracy": _numbers(cell.accuracy), "by_seed": by_seed, "ahead": _numbers(ahead)})
    return {"test": comparison.test, "seeds": comparison.seeds, "results": rows}


def _table(comparison: Comparison, names: list[str], cell: Callable[[str, int], str]) -> str:
    counts = comparison.shots
    lines = [f"| shots | {' | '.join(map(str, counts))} |", "|---" * (len(counts) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cell(name, count) for count in counts)} |" for name in names]
    return "\n".join(lines)


def _percent(value: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{100 * value.mean:{sign}.1f} [{100 * value.low:{sign}.1f}, {100 * value.high:{sign}.1f}]"


def _numbers(value: Interval) -> dict[str, float]:
    return {"mean": value.mean, "low": value.low, "high": value.high}
