"""`vtv bench peers`: the same model behind our server and behind others, same client, same images, interleaved.

Two models: the simulated accelerator (`--kind simulated`: 4 ms + 0.25 ms an image, 32 at most at once), which
measures the servers at the speed of a GPU, and the product's own (`--kind real`). Two workloads: one task, and
five tasks drawn alike; a peer's model takes one task at a time and so computes a mixed batch task by task.
Each peer runs in an environment of its own, made on first use, with the settings of its module under
benchmarks/peers/servers/.
"""

import json
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from artifacts.console import say
from benchmarks.errors import BenchError
from benchmarks.peers.contest import Contest, Loads
from benchmarks.peers.entries import OURS, PEERS
from benchmarks.peers.environments import python_of
from benchmarks.peers.results import as_json, plot, table
from benchmarks.sample import picture_file
from engine.checkpoint import read_description

_CLIENTS: Final = {"simulated": [1, 8, 32, 64], "real": [1, 4, 16]}
_RATES: Final = {"simulated": [800], "real": [10]}
"""What most of the servers can answer: the accelerator is GPU-fast, the bundled model on a processor is not."""


def main(asked: Namespace) -> int:
    """The command. Returns 0, or 1 when a server failed or answered wrongly; raises BenchError."""
    names = asked.peer or [OURS, *PEERS]
    if asked.kind == "real":
        read_description(asked.model)
    clients, rates = asked.concurrency or _CLIENTS[asked.kind], asked.rate or _RATES[asked.kind]
    loads = Loads(clients, rates, asked.seconds, asked.warm_up, asked.bound_ms)
    try:
        pythons = {name: python_of(PEERS[name], asked.environments) for name in names if name != OURS}
        with TemporaryDirectory() as scratch:
            contest = Contest(asked.kind, asked.model, asked.store, Path(scratch), pythons, picture_file(asked.image))
            for number in range(asked.passes):
                # Every other pass the other way round, so that nobody always follows the same neighbour.
                for name in names if number % 2 == 0 else reversed(names):
                    for workload in asked.workload or ["one", "five"]:
                        say(f"pass {number + 1} of {asked.passes}: {name}, {workload}")
                        contest.measure(name, workload, loads)
    except httpx.HTTPError as error:
        raise BenchError(f"a server could not be asked: {error}") from None
    if asked.plot:
        plot(asked.plot, contest.rows)
    if asked.output:
        asked.output.write_text(json.dumps(as_json(contest), indent=2) + "\n")
    print(json.dumps(as_json(contest)) if asked.json else table(contest))
    return 1 if contest.failures else 0
