"""The report of `vtv bench engine` for people."""

from typing import Any


def table(report: dict[str, Any]) -> str:
    """Lines of text."""
    lines = [
        "  ".join(f"{key} {value}" for key, value in report["about"].items()),
        f"baseline = {report['baseline']}",
        "matrix-product ceiling "
        + ", ".join(f"{rate:.1f} GFLOP/s in {dtype}" for dtype, rate in report["ceiling_gflops"].items()),
        f"{'':20}{'batch':>6} {'images/s':>9} {'/ baseline':>11} {'p50 ms':>9} {'p99 ms':>9} {'GFLOP/image':>12} "
        f"{'of ceiling':>11}",
    ]
    lines += [_row(row) for row in report["rows"]]
    lines.append(
        f"{'':20}{'overrides':>10} {'one task':>9} {'switch p50 ms':>14} {'p99 ms':>7} {'cold start s':>13} "
        f"{'warm':>6} {'graphs MB':>10}"
    )
    lines += [_costs(costs) for costs in report["costs"]]
    lines += [f"not measured: {reason}" for reason in report["not_measured"]]
    return "\n".join(lines)


def _row(row: dict[str, Any]) -> str:
    return (
        f"{row['name']:20}{row['batch']:>6} {row['images_per_second']:>9.2f} {row['ratio']:>11.2f} "
        f"{row['p50_ms']:>9.1f} {row['p99_ms']:>9.1f} {row['gflop_per_image']:>12.2f} {row['ceiling_share']:>11.0%}"
    )


def _costs(costs: dict[str, Any]) -> str:
    return (
        f"{costs['name']:20}{costs['override_cost']:>+10.1%} {costs['one_task_cost']:>+9.1%} "
        f"{costs['switch_p50_ms']:>14.2f} {costs['switch_p99_ms']:>7.2f} {costs['cold_seconds']:>13.1f} "
        f"{costs['warm_seconds']:>6.1f} {costs['graph_bytes'] / 1e6:>10.1f}"
    )
