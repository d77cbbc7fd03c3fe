"""`vtv bench search`."""

from argparse import Namespace

from artifacts.paths import BUNDLED_MODEL
from cli import options, values
from cli.commands.bench.shared import add_report, add_threads
from cli.parser import Commands
from engine.config import PUBLISHED

ABOUT = """\
The public code answers one sample at a time in float32: it encodes the canvas with the VQGAN for a number nobody
reads, and decodes the whole canvas for a metric of a quarter of it. Values and pictures are random; arithmetic does
not depend on what they hold."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "search",
        "time of a search's samples, set against the structure of the public algorithm",
        about=ABOUT,
        examples=["vtv bench search", "vtv bench search --architecture large --samples 32"],
        run=run,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        type=values.input_folder,
        default=BUNDLED_MODEL,
        metavar="DIR",
        help="model folder (default: bundled)",
    )
    which.add_argument(
        "--architecture", choices=sorted(PUBLISHED), help="a published one with random weights (default: --model's)"
    )
    parser.add_argument("--granularity", choices=["head", "group", "token"], default="group", help="of the search")
    parser.add_argument("--samples", type=values.whole(2), default=320, metavar="N", help="of a step")
    options.add_device(parser)
    add_threads(parser)
    parser.add_argument("--seconds", type=values.not_negative, default=10.0, metavar="S", help="for each row")
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.search import main

    return main(a)
