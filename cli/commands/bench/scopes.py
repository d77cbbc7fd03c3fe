"""`vtv bench scopes`."""

from argparse import Namespace

from cli import options
from cli.commands.bench.shared import add_report
from cli.parser import Commands

ABOUT = """\
Each task with its published vector and settings, float32 without compilation. The gain is paired by picture; a gain
above 0 speaks for the answer alone."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "scopes",
        "quality and time of decoding the whole canvas, as published, or the answer alone",
        about=ABOUT,
        examples=["vtv bench scopes --episodes 100"],
        run=run,
    )
    options.add_dataset(parser)
    options.add_episodes(parser)
    options.add_store(parser)
    options.add_model(parser)
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.scopes import main

    return main(a)
