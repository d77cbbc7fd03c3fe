"""`vtv bench ray`."""

from argparse import Namespace

from artifacts.errors import NEEDS_RAY
from cli import values
from cli.commands.bench.shared import add_report
from cli.parser import Commands, UsageError

ABOUT = """\
Bulk inference and searches on Ray clusters on this machine, whose model only waits: what is left is what dealing out,
reading and writing cost. Ratio: a worker's samples a second over those of the first row's; driver ms: of its processor,
which ends how many workers one driver carries."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "ray",
        "bulk inference and searches on 1 to 8 workers of a Ray cluster, with a simulated model",
        about=ABOUT,
        examples=["vtv bench ray", "vtv bench ray --workers 1,16 --ms 200 --json"],
        run=run,
    )
    parser.add_argument(
        "--workers", type=values.counts, default=[1, 2, 4, 8], metavar="N,N", help="of each cluster (default: 1,2,4,8)"
    )
    parser.add_argument(
        "--ms", type=values.positive, default=40.0, metavar="MS", help="the model's time for a picture or sample"
    )
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    try:
        from benchmarks.ray_scaling import main
    except ImportError:
        raise UsageError(f"vtv bench ray {NEEDS_RAY}") from None
    return main(a)
