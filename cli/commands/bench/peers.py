"""`vtv bench peers`."""

from argparse import Namespace
from pathlib import Path

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from benchmarks.sample import SAMPLE_PICTURE
from cli import values
from cli.commands.bench.shared import add_load, add_plot, add_report
from cli.parser import Commands

SERVERS = ("vtv", "fastapi", "litserve", "litserve-2-workers", "mosec", "ray", "bentoml", "pytriton")
"""As `benchmarks.peers.entries` names them, which would load the network code for every `--help`."""
ABOUT = """\
The same client sends the same images to each, interleaved. --kind simulated is an accelerator of 4 ms + 0.25 ms an
image, 32 at most at once: it measures the servers at the speed of a GPU; --kind real is the product's own model. Two
workloads: one task, and five tasks drawn alike; a peer's model takes one task at a time and so computes a mixed batch
task by task.

Each peer runs in an environment of its own, made on first use, with the settings of its module under
benchmarks/peers/servers/. Exit code 1: a server failed or answered wrongly."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "peers",
        "the same model behind this server and behind other serving libraries",
        about=ABOUT,
        examples=[
            "vtv bench peers --peer vtv --peer fastapi --passes 1",
            "vtv bench peers --kind real --plot peers.png",
        ],
        run=run,
    )
    parser.add_argument("--kind", choices=["simulated", "real"], default="simulated", help="the model behind")
    parser.add_argument("--peer", choices=SERVERS, action="append", help="repeat for several (default: all)")
    parser.add_argument(
        "--workload", choices=["one", "five"], action="append", help="how many tasks are mixed (default: both)"
    )
    parser.add_argument(
        "--concurrency",
        type=values.counts,
        metavar="N,N,...",
        help="closed loops: clients (default: simulated 1,8,32,64; real 1,4,16)",
    )
    parser.add_argument(
        "--rate",
        type=values.counts,
        metavar="R,R,...",
        help="open loops: requests a second, what most of the servers can answer (default: simulated 800; real 10)",
    )
    parser.add_argument(
        "--passes", type=values.whole(1), default=3, metavar="N", help="over all servers; tables give the medians"
    )
    add_load(parser, seconds="for each load", warm_up=2.0)
    parser.add_argument(
        "--image",
        type=values.input_file,
        default=SAMPLE_PICTURE,
        metavar="FILE",
        help="JPEG to send (default: a cat)",
    )
    for flag, default in (("--model", BUNDLED_MODEL), ("--store", BUNDLED_STORE)):
        parser.add_argument(
            flag, type=values.input_folder, default=default, metavar="DIR", help="of --kind real (default: bundled)"
        )
    parser.add_argument(
        "--environments",
        type=values.output_folder,
        default=Path("build") / "peers",
        metavar="DIR",
        help="where the peers' environments are made and kept",
    )
    add_report(parser)
    add_plot(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.peers.command import main

    return main(a)
