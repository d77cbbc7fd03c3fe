"""`vtv parity`."""

from argparse import Namespace

from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "parity",
        "compare the engine with golden data of the public research code",
        about="Prints the worst error of every case. Exit code 1: one is out of tolerance.",
        examples=["vtv parity tests/data/golden/public --size tiny"],
        run=run,
    )
    parser.add_argument("directory", type=values.input_folder, metavar="DIR", help="with a folder tiny, large or both")
    parser.add_argument("--size", action="append", choices=["tiny", "large"], help="repeat for both (default: both)")
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Run every case there is."""
    from parity import main

    return main(a.directory, sizes=a.size, as_json=a.json)
