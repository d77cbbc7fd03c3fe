"""`vtv bench classification`."""

from argparse import Namespace

from cli import options, taskres_options, values
from cli.commands.bench.shared import add_report
from cli.parser import Commands

ABOUT = """\
Two questions, each answered by loads that take turns: what do many resident classification tasks cost over one, in a
batch and through HTTP; and how many requests a second does a classification give where the bundled painted tasks give
one."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "classification",
        "what many classification tasks cost over one, and one over the painted tasks",
        about=ABOUT,
        examples=["vtv bench classification", "vtv bench classification --backend eager --seconds 10 --json"],
        run=run,
    )
    parser.add_argument("--tasks", type=values.whole(2), default=64, metavar="N", help="resident at once")
    parser.add_argument("--classes", type=values.whole(2), default=1000, metavar="N", help="of each task")
    parser.add_argument("--clients", type=values.whole(1), default=32, metavar="N", help="that ask without a pause")
    parser.add_argument("--seconds", type=values.positive, default=5.0, metavar="S", help="for each load of a turn")
    parser.add_argument("--turns", type=values.whole(1), default=3, metavar="N", help="of the loads through HTTP")
    taskres_options.add_tower(parser)
    options.add_backend(parser)
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.classification import main

    return main(a)
