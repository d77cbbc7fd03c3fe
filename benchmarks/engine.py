"""`vtv bench engine`: engines alone, set against what the public code does and against the hardware.

All rows are measured in turn, one call each, over and over: whatever else the machine does meanwhile meets
every row alike.
"""

import json
import platform
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch

from artifacts.console import say
from artifacts.progress import duration
from artifacts.provenance import commit
from benchmarks.engine_calls import Call, MatrixProduct, PublicCode, engine_flop, flop
from benchmarks.engine_subjects import USUAL, Setting, Subject, load_subjects
from benchmarks.engine_table import table
from engine.checkpoint import read_description
from engine.device import best_device, describe
from engine.errors import EngineError
from engine.program import Scope

BASELINE: Final = "public: one image at a time, float32, full-canvas decode with the tokenizer's encode"
BUCKETS: Final = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)}
SLOTS: Final = 66
"""64 resident tasks, the no-op, and a slot to switch."""
_LEAST_CALLS: Final = 3
Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of answering images: milliseconds of a call, images/s by its median, and ratios.

    `ratio` is images/s over the baseline's; `ceiling_share` the share of the matrix-product rate in its own type.
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
class Costs:
    """What is known of an engine as a whole.

    `override_cost`: the largest bucket with as many tasks as rows over the same network without overrides, less 1;
    `one_task_cost`: with one task. Start-up in seconds to the end of the warm-up, graphs in bytes.
    """

    name: str
    override_cost: float
    one_task_cost: float
    switch_p50_ms: float
    switch_p99_ms: float
    cold_seconds: float
    warm_seconds: float
    graph_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """Rows, costs of each engine, matrix-product rates by type, what could not be measured, and on what it ran."""

    baseline: str
    rows: list[Row]
    costs: list[Costs]
    ceiling_gflops: dict[str, float]
    not_measured: list[str]
    about: dict[str, Any]


def main(asked: Namespace) -> int:
    """The command. Returns 0; raises EngineError for a model that cannot be loaded."""
    if asked.threads:
        torch.set_num_threads(asked.threads)
    read_description(asked.model)
    device = asked.device or best_device()
    setting = Setting(asked.model, device, tuple(asked.buckets or BUCKETS[device]), SLOTS, Scope(asked.scope))
    subjects, missing = load_subjects(asked.backend or USUAL[device], setting)
    if not subjects:
        raise EngineError("nothing to measure: " + "; ".join(missing))
    report = asdict(bench(subjects, missing, asked.seconds))
    if asked.output:
        asked.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if asked.json else table(report))
    return 0


def bench(subjects: list[Subject], missing: list[str], seconds: float) -> Report:
    """Measure every row for about `seconds` each, interleaved."""
    first = subjects[0].engine
    public = PublicCode(first)
    products = {_dtype(s): MatrixProduct(first.device, s.engine.dtype) for s in subjects}
    jobs: dict[str, Call] = {BASELINE: public}
    for subject in subjects:
        jobs |= {f"{subject.name} {what}": call for what, call in _jobs(subject).items()}
    jobs |= {f"product {dtype}": product for dtype, product in products.items()}
    spent = interleave(jobs, seconds)
    ceilings = {dtype: p.flop / min(spent[f"product {dtype}"]) / 1e9 for dtype, p in products.items()}
    base = float(np.median(spent[BASELINE]))
    lowest = next(iter(ceilings.values()))
    rows = [_row("baseline", 1, spent[BASELINE], base, flop(public) / 1e9, ceilings.get("float32", lowest))]
    work = engine_flop(first) / 1e9
    for subject in subjects:
        for batch in subject.engine.buckets:
            times = spent[f"{subject.name} mixed {batch}"]
            rows.append(_row(subject.name, batch, times, base, work, ceilings[_dtype(subject)]))
    return Report(BASELINE, rows, [_costs(s, spent) for s in subjects], ceilings, missing, _about(first.device, first))


def interleave(jobs: dict[str, Callable[[], object]], seconds: float) -> Times:
    """Call jobs in turn after one warm-up each; seconds per call, by name."""
    say(f"measuring {len(jobs)} ways in turns, about {duration(seconds * len(jobs))}")
    for call in jobs.values():
        call()
    spent: Times = {name: [] for name in jobs}
    end = time.perf_counter() + seconds * len(jobs)
    while time.perf_counter() < end or len(next(iter(spent.values()))) < _LEAST_CALLS:
        for name, call in jobs.items():
            started = time.perf_counter()
            call()
            spent[name].append(time.perf_counter() - started)
    return spent


def _jobs(subject: Subject) -> dict[str, Call]:
    calls, buckets = subject.calls, subject.engine.buckets
    rows = {f"mixed {batch}": calls.mixed(batch) for batch in buckets}
    return rows | {"one task": calls.one_task(buckets[-1]), "bare": calls.bare(), "switch": calls.switch}


def _costs(subject: Subject, spent: Times) -> Costs:
    def median(what: str) -> float:
        return float(np.median(spent[f"{subject.name} {what}"]))

    bare, switch = median("bare"), spent[f"{subject.name} switch"]
    return Costs(
        subject.name,
        median(f"mixed {subject.engine.buckets[-1]}") / bare - 1,
        median("one task") / bare - 1,
        float(np.median(switch)) * 1e3,
        float(np.percentile(switch, 99)) * 1e3,
        subject.cold,
        subject.warm,
        sum(line.bytes for line in subject.engine.capture_report),
    )


def _row(name: str, batch: int, spent: list[float], base: float, gflop: float, ceiling: float) -> Row:
    median = float(np.median(spent))
    rate = batch / median
    p99 = float(np.percentile(spent, 99)) * 1e3
    return Row(name, batch, len(spent), median * 1e3, p99, rate, rate * base, gflop, rate * gflop / ceiling)


def _dtype(subject: Subject) -> str:
    return str(subject.engine.dtype).removeprefix("torch.")


def _about(device: torch.device, engine: Any) -> dict[str, Any]:
    return {
        "model": engine.model_name,
        "scope": str(engine.scope),
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "slots": engine.bank.slots,
        "vtv": version("visual-task-vectors"),
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
