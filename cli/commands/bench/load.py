"""`vtv bench load`."""

from argparse import Namespace

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from benchmarks.sample import SAMPLE_PICTURE
from cli import options, values
from cli.commands.bench.shared import add_load, add_plot, add_report
from cli.parser import Commands

ABOUT = """\
Closed loop (the default): clients that ask as soon as they are answered. Open loop (--rate): requests at given rates,
Poisson or evenly spaced, latency counted from when each was due. --sweep: open loops at rising rates, to the knee.

Without --url a server is started, and the engine's own speed (tensors in and out) is measured on the same machine, in
turns with the closed loops and around the open ones. Exit code 1: a request failed in a closed loop, or the server
counted otherwise."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "load",
        "throughput and latency of the whole service, set against the engine alone",
        about=ABOUT,
        examples=[
            "vtv bench load --concurrency 1,8,32",
            "vtv bench load --url http://127.0.0.1:8000 --rate 50,100 --task segmentation",
        ],
        run=run,
    )
    parser.add_argument("--url", help="a running server (default: one is started)")
    parser.add_argument(
        "--task",
        type=_weighted_name,
        action="append",
        default=[],
        metavar="NAME[:WEIGHT]",
        help="repeat to mix tasks (default: every installed task alike)",
    )
    sent = parser.add_mutually_exclusive_group()
    sent.add_argument(
        "--tensors",
        type=values.whole(1),
        metavar="N",
        help="send N pictures a request as one tensor, for the engine's answers as another (default: image files)",
    )
    sent.add_argument(
        "--side",
        type=_weighted_side,
        action="append",
        default=[],
        metavar="PIXELS[:WEIGHT]",
        help="longer side to scale the image to; repeat to mix sizes (default: as it is)",
    )
    parser.add_argument(
        "--refine",
        choices=["auto", "none"],
        default="auto",
        help="auto: refined as the task's artifact says; none: the engine's own answers",
    )
    parser.add_argument(
        "--image",
        type=values.input_file,
        default=SAMPLE_PICTURE,
        metavar="FILE",
        help="JPEG to send (default: a cat)",
    )
    parser.add_argument(
        "--concurrency",
        type=values.counts,
        default=[1, 8, 32],
        metavar="N,N,...",
        help="closed loops: clients; the largest also warms up open ones",
    )
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument(
        "--rate", type=values.rates, metavar="R,R,...", help="open loops: requests a second (default: closed loops)"
    )
    loop.add_argument("--sweep", action="store_true", help="open loops at rising rates, to the knee")
    parser.add_argument("--arrivals", choices=["poisson", "fixed"], default="poisson", help="of an open loop")
    add_load(parser, seconds="for each row", warm_up=1.0)
    parser.add_argument(
        "--model",
        type=values.input_folder,
        default=BUNDLED_MODEL,
        metavar="DIR",
        help="of the server that is started (default: bundled)",
    )
    parser.add_argument(
        "--store",
        type=values.input_folder,
        default=BUNDLED_STORE,
        metavar="DIR",
        help="of the server that is started (default: bundled)",
    )
    options.add_backend(parser)
    add_report(parser)
    add_plot(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.load import main

    return main(a)


def _weighted_name(text: str) -> tuple[str, float]:
    name, _, weight = text.partition(":")
    return name, values.positive(weight or "1")


def _weighted_side(text: str) -> tuple[int, float]:
    side, weight = _weighted_name(text)
    return values.whole(16)(side), weight
