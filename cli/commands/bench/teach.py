"""`vtv bench teach`."""

from argparse import Namespace

from cli import options, values
from cli.parser import Commands

ABOUT = """\
The task is the inverted mask, black objects on white, which no bundled vector does. Exit code 1: the taught vector
does not beat every floor (no vector, the input itself, one colour)."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "teach",
        "how well `vtv teach` does from a few pairs, judged on pairs it never saw",
        about=ABOUT,
        examples=["vtv bench teach --pairs 16"],
        run=run,
    )
    options.add_dataset(parser)
    parser.add_argument("--pairs", type=values.whole(2), default=16, metavar="N", help="pairs to teach from")
    parser.add_argument("--unseen", type=values.whole(1), default=200, metavar="N", help="pairs to judge on")
    options.add_seed(parser)
    options.add_model(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Teach and judge."""
    from benchmarks.teach import main

    return main(a)
