"""`vtv bench load`: requests/s and latency of the whole service, set against the engine alone.

The engine's own throughput (tensors in, tensors out, its best bucket) is measured first, in the same run
and on the same machine; `served/raw` says what share of it reaches clients.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import torch

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from artifacts.store import Store
from benchmarks.closed_loop import Load, measure, raw_request
from benchmarks.server_process import ServerDied, running_server
from engine.errors import EngineError
from engine.runtime import Engine

_SAMPLE: Final = Path(str(files("service"))) / "static" / "samples" / "rabbit.jpg"
_WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `vtv bench load` found; `raw` is the engine's images/s, None where it was not measured."""

    rows: list[Load]
    raw: float | None
    raw_bucket: int | None
    about: dict[str, Any]


def main(args: Sequence[str]) -> int:
    """The command. Returns 0, or 1 when a request failed, or 2 when the server could not be measured."""
    asked = _parser().parse_args(args)
    image = asked.image.read_bytes()
    try:
        if asked.url:
            tasks = asked.task or _installed(asked.url)
            report = Report(run(asked.url, tasks, image, asked.concurrency, asked.seconds), None, None, {})
        else:
            report = _measure_own_server(asked, image)
    except (ServerDied, EngineError, httpx.HTTPError) as error:
        print(f"vtv bench load: {error}", file=sys.stderr)
        return 2
    if asked.output:
        asked.output.write_text(json.dumps(_as_json(report), indent=2) + "\n")
    print(json.dumps(_as_json(report)) if asked.json else _table(report))
    return 1 if any(row.errors for row in report.rows) else 0


def run(url: str, tasks: Sequence[str], image: bytes, concurrencies: Sequence[int], seconds: float) -> list[Load]:
    """Load the service at `url` with one image, its tasks taking turns, at each concurrency for `seconds`."""
    requests = [raw_request(url, task, image) for task in tasks]
    measure(url, requests, max(concurrencies), _WARM_UP_SECONDS)
    return [measure(url, requests, concurrency, seconds) for concurrency in concurrencies]


def raw_throughput(engine: Engine, store: Store, seconds: float) -> tuple[float, int]:
    """The engine's best images/s over its buckets, tensors in and out, and the bucket that gives it."""
    names = store.names()
    for slot, name in enumerate(names, start=1):
        engine.write_slot(slot, store.read(name, engine.fingerprint).vector)
    engine.warm_up()
    return max(
        (_images_per_second(engine, bucket, len(names), seconds / len(engine.buckets)), bucket)
        for bucket in engine.buckets
    )


def _images_per_second(engine: Engine, bucket: int, tasks: int, seconds: float) -> float:
    side = engine.geometry.tile
    tiles = np.random.default_rng(0).integers(0, 256, (bucket, side, side, 3), np.uint8)
    slots = [1 + row % tasks if tasks else 0 for row in range(bucket)]
    batches, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        engine.zero_shot(tiles, slots)
        batches += 1
    return batches * bucket / elapsed


def _measure_own_server(asked: argparse.Namespace, image: bytes) -> Report:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    engine = Engine.load(asked.model, backend=asked.backend, device=device)
    raw, bucket = raw_throughput(engine, Store(asked.store), asked.seconds)
    about = _about(engine)
    del engine
    with running_server(asked.model, asked.store, asked.backend) as url:
        tasks = asked.task or _installed(url)
        rows = run(url, tasks, image, asked.concurrency, asked.seconds)
    return Report(rows, raw, bucket, about | {"tasks": tasks, "image_bytes": len(image)})


def _installed(url: str) -> list[str]:
    names = [task["name"] for task in httpx.get(f"{url}/tasks", trust_env=False).json()["tasks"]]
    if not names:
        raise ServerDied("the server has no task to ask for")
    return names


def _about(engine: Engine) -> dict[str, Any]:
    return {
        "model": engine.model_name,
        "backend": engine.backend,
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "vtv": version("visual-task-vectors"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _as_json(report: Report) -> dict[str, Any]:
    best = max(row.requests_per_second for row in report.rows)
    return {
        **report.about,
        "raw_images_per_second": report.raw,
        "raw_bucket": report.raw_bucket,
        "served_over_raw": best / report.raw if report.raw else None,
        "rows": [asdict(row) for row in report.rows],
    }


def _table(report: Report) -> str:
    lines = [
        "  ".join(f"{key} {value}" for key, value in report.about.items() if key != "tasks"),
        f"engine alone: {report.raw:.1f} images/s at batch {report.raw_bucket}" if report.raw else "",
        f"{'clients':>8} {'requests/s':>11} {'served/raw':>11} {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9} {'errors':>7}",
    ]
    for row in report.rows:
        share = f"{row.requests_per_second / report.raw:.2f}" if report.raw else "-"
        lines.append(
            f"{row.concurrency:>8} {row.requests_per_second:>11.1f} {share:>11} "
            f"{row.p50_ms:>9.1f} {row.p90_ms:>9.1f} {row.p99_ms:>9.1f} {row.errors:>7}"
        )
    return "\n".join(line for line in lines if line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vtv bench load", description=__doc__)
    parser.add_argument("--url", help="a running server; without it one is started")
    parser.add_argument("--task", action="append", help="repeat to mix tasks (default: every installed task)")
    parser.add_argument("--image", type=Path, default=_SAMPLE, help="JPEG to send")
    parser.add_argument("--concurrency", type=_numbers, default=[1, 8, 32], help="such as 1,8,32")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each concurrency")
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--store", type=Path, default=BUNDLED_STORE)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to a file")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    return parser


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("concurrencies start at 1")
    return numbers
