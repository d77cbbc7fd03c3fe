"""`vtv export`."""

from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "export",
        "put training checkpoints together as a model folder",
        about="The folder is what --model takes everywhere. Task vectors of other models do not fit it: build its own.",
        examples=["vtv export --run runs/small -o my-model"],
        run=run,
    )
    parser.add_argument(
        "--run",
        dest="folder",
        type=values.input_folder,
        required=True,
        metavar="DIR",
        help="the folder `vtv train` wrote",
    )
    options.add_output(parser, "the model folder", folder=True)


def run(a: Namespace) -> int:
    """Write the model folder."""
    from training.export import export

    say(f"model {export(a.folder, a.output)} in {a.output}")
    return 0
