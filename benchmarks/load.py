"""`vtv bench load`: throughput and latency of the whole service, set against the engine alone.

Closed loop (default): clients that ask as soon as they are answered. Open loop (`--rate`): requests at given
rates, Poisson or evenly spaced, latency counted from when each was due. `--sweep`: open loops at rising rates,
to the knee. Without `--url` a server is started, and the engine's own speed (tensors in and out) is measured on the
same machine, in turns with the closed loops and around the open ones.
"""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from artifacts.console import say
from benchmarks.errors import BenchError
from benchmarks.load_report import Report, as_json, table
from benchmarks.load_run import LoadRun
from benchmarks.plots import latency_plot
from benchmarks.raw_engine import RawEngine
from benchmarks.sample import picture_file
from benchmarks.server_process import PATIENCE, ServerDied, running_server
from benchmarks.summary import PERCENTILES
from benchmarks.sweep import sweep
from benchmarks.traffic import Mix, as_pixels, at_size, infer_mix, tensor_mix, with_hole


def main(asked: Namespace) -> int:
    """The command. Returns 0, or 1 when a request failed in a closed loop or the server's own count is another.

    Raises BenchError when the server could not be measured.
    """
    try:
        report = _measure(asked, asked.url) if asked.url else _measure_own_server(asked)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise BenchError(f"{asked.url or 'the server'} cannot be measured: {error}") from None
    if asked.plot:
        _plot(asked.plot, report)
    if asked.output:
        asked.output.write_text(json.dumps(as_json(report), indent=2) + "\n")
    print(json.dumps(as_json(report)) if asked.json else table(report))
    failed = any(row.errors for row in report.rows if row.clients) or report.disagreement
    return 1 if failed else 0


def _measure_own_server(asked: Namespace) -> Report:
    engine = RawEngine.load(asked.model, asked.store, asked.backend)
    with running_server(asked.model, asked.store, asked.backend) as url:
        report = _measure(asked, url, engine)
    report.about = engine.about() | report.about
    return report


def _measure(asked: Namespace, url: str, engine: RawEngine | None = None) -> Report:
    """`engine` is the engine alone."""
    tasks = dict(asked.task) or dict.fromkeys(_installed(url), 1.0)
    mix, sent = _traffic(asked, url, tasks)
    run = LoadRun(url, mix, asked.seconds, asked.bound_ms, asked.arrivals, engine)
    run.warm(max(asked.concurrency), asked.warm_up)
    images, wait = asked.tensors or 1, None
    if asked.sweep:
        rows = sweep(run.open, capacity=run.closed(max(asked.concurrency)).requests_per_second)
    elif asked.rate:
        rows = [run.open(rate) for rate in told(asked.rate, "requests/s")]
    else:
        rows = [run.closed(clients) for clients in told(asked.concurrency, "clients")]
        if 1 in asked.concurrency and images == 1:
            wait = run.one_client()
    about = {"tasks": sorted(tasks), **sent, "arrivals": asked.arrivals}
    return Report(rows, about, run.disagreement(), images, wait, asked.sweep)


def told(loads: Sequence[float], what: str) -> Iterator[Any]:
    """Each load, after a line about it."""
    for load in loads:
        say(f"{load:g} {what}")
        yield load


def _traffic(asked: Namespace, url: str, tasks: Mapping[str, float]) -> tuple[Mix, dict[str, Any]]:
    """What to send, and what to say of it."""
    image = with_hole(picture_file(asked.image))
    if asked.tensors:
        pixels = as_pixels(image, _tile(url, next(iter(tasks))), asked.tensors)
        return tensor_mix(url, tasks, pixels), {"tensor": list(pixels.shape)}
    images = [(at_size(image, int(side)), share) for side, share in asked.side] or [(image, 1.0)]
    about = {"image_bytes": [len(image) for image, _ in images], "refine": asked.refine}
    return infer_mix(url, tasks, images, asked.refine), about


def _tile(url: str, task: str) -> int:
    """The side of the pictures that the engine takes, in pixels."""
    reply = httpx.get(f"{url}/v2/models/{quote(task)}", trust_env=False, timeout=PATIENCE).raise_for_status()
    return int(reply.json()["outputs"][0]["shape"][1])


def _installed(url: str) -> list[str]:
    found = httpx.get(f"{url}/tasks", trust_env=False, timeout=PATIENCE).json()["tasks"]
    names = [task["name"] for task in found if task.get("kind", "painting") == "painting"]
    if not names:
        raise ServerDied("the server has no task to ask for that paints")
    return names


def _plot(path: Path, report: Report) -> None:
    latency_plot(path, "vtv bench load", {name: [(row, name) for row in report.rows] for name in PERCENTILES})
