"""`vtv bench peers`: the same model behind our server and behind others, same client, same images, interleaved.

Two models: the simulated accelerator (`--kind simulated`: 4 ms + 0.25 ms an image, 32 at most at once), which
measures the servers at the speed of a GPU, and the product's own (`--kind real`). Two workloads: one task, and
five tasks drawn alike; a peer's model takes one task at a time and so computes a mixed batch task by task.
Each peer runs in an environment of its own, made on first use, with the settings of its module under
benchmarks/peers/servers/.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from benchmarks.number_lists import counts
from benchmarks.peers.contest import Contest, Loads
from benchmarks.peers.entries import OURS, PEERS
from benchmarks.peers.environments import EnvironmentFailed, python_of
from benchmarks.peers.results import as_json, plot, table
from benchmarks.plots import PlotsUnavailable
from benchmarks.server_process import ServerDied

_IMAGE: Final = Path(__file__).parents[2] / "service" / "static" / "samples" / "rabbit.jpg"
_ENVIRONMENTS: Final = Path("build") / "peers"
_CLIENTS: Final = {"simulated": [1, 8, 32, 64], "real": [1, 4, 16]}
_RATES: Final = {"simulated": [800], "real": [10]}
"""What most of the servers can answer: the accelerator is GPU-fast, the bundled model on a processor is not."""


def main(args: Sequence[str]) -> int:
    """The command. Returns 0, 1 when a server failed or answered wrongly, 2 for wrong usage."""
    asked = _parser().parse_args(args)
    names = asked.peer or [OURS, *PEERS]
    clients, rates = asked.concurrency or _CLIENTS[asked.kind], asked.rate or _RATES[asked.kind]
    loads = Loads(clients, rates, asked.seconds, asked.warm_up, asked.bound_ms)
    try:
        pythons = {name: python_of(PEERS[name], asked.environments) for name in names if name != OURS}
        with TemporaryDirectory() as scratch:
            contest = Contest(asked.kind, asked.model, asked.store, Path(scratch), pythons, asked.image.read_bytes())
            for number in range(asked.passes):
                # Every other pass the other way round, so that nobody always follows the same neighbour.
                for name in names if number % 2 == 0 else reversed(names):
                    for workload in asked.workload or ["one", "five"]:
                        print(f"pass {number + 1}: {name}, {workload}", file=sys.stderr, flush=True)
                        contest.measure(name, workload, loads)
        if asked.plot:
            plot(asked.plot, contest.rows)
    except (EnvironmentFailed, PlotsUnavailable, ServerDied, httpx.HTTPError, OSError, ValueError) as error:
        print(f"vtv bench peers: {error}", file=sys.stderr)
        return 2
    if asked.output:
        asked.output.write_text(json.dumps(as_json(contest), indent=2) + "\n")
    print(json.dumps(as_json(contest)) if asked.json else table(contest))
    return 1 if contest.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vtv bench peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=["simulated", "real"], default="simulated", help="the model behind")
    parser.add_argument("--peer", choices=[OURS, *PEERS], action="append", help="repeat for several (default: all)")
    parser.add_argument("--workload", choices=["one", "five"], action="append", help="tasks (default: both)")
    parser.add_argument("--concurrency", type=counts, help=f"closed loops ({_by_kind(_CLIENTS)})")
    parser.add_argument("--rate", type=counts, help=f"open loops, requests a second ({_by_kind(_RATES)})")
    parser.add_argument("--passes", type=int, default=3, help="over all servers; the tables give the medians")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each load")
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds of load before each server's first")
    parser.add_argument("--bound-ms", type=float, default=250.0, help="goodput counts answers within it")
    parser.add_argument("--image", type=Path, default=_IMAGE, help="JPEG to send")
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL, help="of --kind real")
    parser.add_argument("--store", type=Path, default=BUNDLED_STORE, help="of --kind real")
    parser.add_argument("--environments", type=Path, default=_ENVIRONMENTS, help="where the peers' are made and kept")
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to a file")
    parser.add_argument("--plot", type=Path, help="write latency against throughput to this PNG")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    return parser


def _by_kind(defaults: dict[str, list[int]]) -> str:
    return "default: " + "; ".join(f"{','.join(map(str, numbers))} {kind}" for kind, numbers in defaults.items())
