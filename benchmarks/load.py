"""`vtv bench load`: throughput and latency of the whole service, set against the engine alone.

Closed loop (default): clients that ask as soon as they are answered. Open loop (`--rate`): requests at given
rates, Poisson or evenly spaced, latency counted from when each was due. `--sweep`: open loops at rising rates,
to the knee. Without `--url` a server is started, and the engine's own speed (tensors in and out) is measured on the
same machine, in turns with the closed loops and around the open ones.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from benchmarks.load_report import Report, as_json, table
from benchmarks.load_run import LoadRun
from benchmarks.number_lists import counts, rates
from benchmarks.plots import PlotsUnavailable, latency_plot
from benchmarks.raw_engine import RawEngine
from benchmarks.server_process import ServerDied, running_server
from benchmarks.summary import PERCENTILES
from benchmarks.sweep import sweep
from benchmarks.traffic import Mix, as_pixels, at_size, infer_mix, tensor_mix
from engine.errors import EngineError

_SAMPLE: Final = Path(str(files("service"))) / "static" / "samples" / "rabbit.jpg"


def main(args: Sequence[str]) -> int:
    """The command. Returns 0, or 1 when a request failed in a closed loop or the server's own count is another,
    or 2 when the server could not be measured."""
    asked = _parser().parse_args(args)
    try:
        report = _measure(asked, asked.url) if asked.url else _measure_own_server(asked)
        if asked.plot:
            _plot(asked.plot, report)
    except (ServerDied, EngineError, PlotsUnavailable, httpx.HTTPError, OSError, ValueError) as error:
        print(f"vtv bench load: {error}", file=sys.stderr)
        return 2
    if asked.output:
        asked.output.write_text(json.dumps(as_json(report), indent=2) + "\n")
    print(json.dumps(as_json(report)) if asked.json else table(report))
    failed = any(row.errors for row in report.rows if row.clients) or report.disagreement
    return 1 if failed else 0


def _measure_own_server(asked: argparse.Namespace) -> Report:
    engine = RawEngine.load(asked.model, asked.store, asked.backend)
    with running_server(asked.model, asked.store, asked.backend) as url:
        report = _measure(asked, url, engine)
    report.about = engine.about() | report.about
    return report


def _measure(asked: argparse.Namespace, url: str, engine: RawEngine | None = None) -> Report:
    """`engine` is the engine alone."""
    tasks = dict(asked.task) or dict.fromkeys(_installed(url), 1.0)
    mix, sent = _traffic(asked, url, tasks)
    run = LoadRun(url, mix, asked.seconds, asked.bound_ms, asked.arrivals, engine)
    run.warm(max(asked.concurrency), asked.warm_up)
    images, wait = asked.tensors or 1, None
    if asked.sweep:
        rows = sweep(run.open, capacity=run.closed(max(asked.concurrency)).requests_per_second)
    elif asked.rate:
        rows = [run.open(rate) for rate in asked.rate]
    else:
        rows = [run.closed(clients) for clients in asked.concurrency]
        if 1 in asked.concurrency and images == 1:
            wait = run.one_client()
    about = {"tasks": sorted(tasks), **sent, "arrivals": asked.arrivals}
    return Report(rows, about, run.disagreement(), images, wait, asked.sweep)


def _traffic(asked: argparse.Namespace, url: str, tasks: Mapping[str, float]) -> tuple[Mix, dict[str, Any]]:
    """What to send, and what to say of it."""
    image = asked.image.read_bytes()
    if asked.tensors:
        pixels = as_pixels(image, _tile(url, next(iter(tasks))), asked.tensors)
        return tensor_mix(url, tasks, pixels), {"tensor": list(pixels.shape)}
    images = [(at_size(image, int(side)), share) for side, share in asked.side] or [(image, 1.0)]
    about = {"image_bytes": [len(image) for image, _ in images], "refine": asked.refine}
    return infer_mix(url, tasks, images, asked.refine), about


def _tile(url: str, task: str) -> int:
    """The side of the pictures that the engine takes, in pixels."""
    reply = httpx.get(f"{url}/v2/models/{quote(task)}", trust_env=False).raise_for_status()
    return int(reply.json()["outputs"][0]["shape"][1])


def _installed(url: str) -> list[str]:
    names = [task["name"] for task in httpx.get(f"{url}/tasks", trust_env=False).json()["tasks"]]
    if not names:
        raise ServerDied("the server has no task to ask for")
    return names


def _plot(path: Path, report: Report) -> None:
    latency_plot(path, "vtv bench load", {name: [(row, name) for row in report.rows] for name in PERCENTILES})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vtv bench load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running server; without it one is started")
    parser.add_argument("--task", type=_weighted, action="append", default=[], metavar="NAME[:WEIGHT]",
                        help="repeat to mix tasks (default: every installed task alike)")  # fmt: skip
    sent = parser.add_mutually_exclusive_group()
    sent.add_argument("--tensors", type=_count, metavar="N",
                      help="send N pictures a request as one tensor, for the engine's answers as another")  # fmt: skip
    sent.add_argument("--side", type=_weighted, action="append", default=[], metavar="PIXELS[:WEIGHT]",
                      help="longer side to scale the image to; repeat to mix sizes (default: as it is)")  # fmt: skip
    parser.add_argument("--refine", choices=["auto", "none"], default="auto",
                        help="none: the engine's own answers; auto: refined as the task's artifact says")  # fmt: skip
    parser.add_argument("--image", type=Path, default=_SAMPLE, help="JPEG to send")
    parser.add_argument("--concurrency", type=counts, default=[1, 8, 32], help="closed loop: such as 1,8,32")
    parser.add_argument("--rate", type=rates, help="open loop: requests a second, such as 50,100")
    parser.add_argument("--sweep", action="store_true", help="open loops at rising rates, to the knee")
    parser.add_argument("--arrivals", choices=["poisson", "fixed"], default="poisson", help="of an open loop")
    parser.add_argument("--bound-ms", type=float, default=250.0, help="goodput counts answers within it")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds of closed loop before the first row")
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--store", type=Path, default=BUNDLED_STORE)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to a file")
    parser.add_argument("--plot", type=Path, help="write latency against throughput to this PNG")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    return parser


def _count(text: str) -> int:
    (count,) = counts(text)
    return count


def _weighted(text: str) -> tuple[str, float]:
    name, _, weight = text.partition(":")
    return name, float(weight or 1)
