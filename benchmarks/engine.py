"""`vtv bench engine`: the engine alone, set against what the public code does and against the hardware.

All rows are measured in turn, one call each, over and over: whatever else the machine does meanwhile meets
every row alike. Task vectors are random ones; arithmetic does not depend on what they hold.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from artifacts.build import commit
from artifacts.paths import BUNDLED_MODEL
from benchmarks.engine_calls import Calls, random_vector
from engine.runtime import Engine

BASELINE: Final = "public: one image at a time, float32, full-canvas decode with the tokenizer's encode"
BATCHES: Final = (1, 2, 4, 8, 16)
_LEAST_CALLS: Final = 3
_TASKS: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One way of answering images: milliseconds of a call, images/s by its median, and ratios.

    `ratio` is images/s over the baseline's; `ceiling_share` the row's share of the measured matrix-product rate.
    """

    name: str
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float
    images_per_second: float
    ratio: float
    gflop_per_image: float
    ceiling_share: float


@dataclass(frozen=True, slots=True)
class Report:
    """Rows, the matrix-product ceiling, what overrides and switching a task cost, and what was measured on what."""

    rows: list[Row]
    ceiling_gflops: float
    override_cost: float
    slot_0_cost: float
    switch_p50_ms: float
    switch_p99_ms: float
    about: dict[str, Any]


def main(args: Sequence[str]) -> int:
    """The command. Returns 0; raises EngineError for a model that cannot be loaded."""
    asked = _parser().parse_args(args)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device = asked.device or ("cuda" if torch.cuda.is_available() else "cpu")
    engine = Engine.load(asked.model, slots=_TASKS + 2, buckets=BATCHES, backend=asked.backend, device=device)
    report = bench(engine, asked.seconds)
    document = json.dumps(asdict(report), indent=None if asked.json else 2)
    if asked.output:
        asked.output.write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(document if asked.json else table(report))
    return 0


def bench(engine: Engine, seconds: float) -> Report:
    """Measure every row for about `seconds` each, interleaved."""
    for slot in range(1, _TASKS + 1):
        engine.write_slot(slot, random_vector(engine, slot))
    calls, largest = Calls(engine, _TASKS), engine.buckets[-1]
    jobs: dict[str, tuple[int, Callable[[], object]]] = {BASELINE: (1, calls.public)}
    for batch in engine.buckets:
        jobs[f"engine, {batch}"] = (batch, calls.mixed(batch))
    jobs |= {
        "slot 0": (largest, calls.slot_0(largest)),
        "no overrides": (largest, calls.plain(largest)),
        "matrix product": (1, calls.matrix_product),
        "task switch": (1, calls.switch),
    }
    spent = interleave({name: call for name, (_, call) in jobs.items()}, seconds)
    ceiling = calls.matrix_product_flop / min(spent["matrix product"]) / 1e9
    work = {name: calls.flop(call) / batch / 1e9 for name, (batch, call) in jobs.items() if name in _counted(engine)}
    base = float(np.median(spent[BASELINE]))
    rows = [_row(name, jobs[name][0], spent[name], work[name], base, ceiling) for name in work]
    plain = float(np.median(spent["no overrides"]))
    return Report(
        rows,
        ceiling,
        float(np.median(spent[f"engine, {largest}"])) / plain - 1,
        float(np.median(spent["slot 0"])) / plain - 1,
        float(np.median(spent["task switch"])) * 1e3,
        float(np.percentile(spent["task switch"], 99)) * 1e3,
        _about(engine),
    )


def interleave(jobs: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Call jobs in turn after one warm-up each; seconds per call, by name."""
    for call in jobs.values():
        call()
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    end = time.perf_counter() + seconds * len(jobs)
    while time.perf_counter() < end or len(next(iter(spent.values()))) < _LEAST_CALLS:
        for name, call in jobs.items():
            started = time.perf_counter()
            call()
            spent[name].append(time.perf_counter() - started)
    return spent


def table(report: Report) -> str:
    """For people."""
    lines = [
        "  ".join(f"{key} {value}" for key, value in report.about.items()),
        f"baseline = {BASELINE}",
        f"matrix-product ceiling {report.ceiling_gflops:.1f} GFLOP/s",
        f"{'':18}{'batch':>6} {'images/s':>9} {'/ baseline':>11} {'p50 ms':>9} {'p99 ms':>9} {'GFLOP/image':>12} "
        f"{'of ceiling':>11}",
    ]
    for row in report.rows:
        name = "baseline" if row.name == BASELINE else row.name.partition(",")[0]
        lines.append(
            f"{name:18}{row.batch:>6} {row.images_per_second:>9.2f} {row.ratio:>11.2f} {row.p50_ms:>9.1f} "
            f"{row.p99_ms:>9.1f} {row.gflop_per_image:>12.2f} {row.ceiling_share:>11.0%}"
        )
    lines.append(
        f"overrides cost {report.override_cost:+.1%} with mixed tasks, {report.slot_0_cost:+.1%} with slot 0; "
        f"switching a task {report.switch_p50_ms:.2f} ms (p99 {report.switch_p99_ms:.2f})"
    )
    return "\n".join(lines)


def _counted(engine: Engine) -> list[str]:
    return [BASELINE, *(f"engine, {batch}" for batch in engine.buckets), "slot 0", "no overrides"]


def _row(name: str, batch: int, spent: list[float], gflop: float, base: float, ceiling: float) -> Row:
    median = float(np.median(spent))
    rate = batch / median
    return Row(
        name,
        batch,
        len(spent),
        median * 1e3,
        float(np.percentile(spent, 99)) * 1e3,
        rate,
        rate * base,
        gflop,
        rate * gflop / ceiling,
    )


def _about(engine: Engine) -> dict[str, Any]:
    return {
        "model": engine.model_name,
        "backend": engine.backend,
        "device": torch.cuda.get_device_name(engine.device) if engine.device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "vtv": version("visual-task-vectors"),
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vtv bench engine", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--threads", type=int, help="of the CPU (default: as many as torch takes)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to a file")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    return parser
