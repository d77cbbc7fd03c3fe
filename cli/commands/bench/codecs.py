"""`vtv bench codecs`."""

from argparse import Namespace

from benchmarks.sample import SAMPLE_PICTURE
from cli import values
from cli.commands.bench.shared import add_report
from cli.parser import Commands

ABOUT = """\
Processor time of one thread and one image, and how far the shrunken picture is from what the paper's way gives (full
decoding, Pillow's bicubic filter): mean difference in grey levels. Of what is small, the smaller is better."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "codecs",
        "image libraries: decoding photos, shrinking them, encoding answers",
        about=ABOUT,
        examples=["vtv bench codecs", "vtv bench codecs --image cat.jpg --repeat 10"],
        run=run,
    )
    parser.add_argument(
        "--image",
        type=values.input_file,
        default=SAMPLE_PICTURE,
        metavar="FILE",
        help="JPEG whose enlargements are read (default: a cat)",
    )
    parser.add_argument(
        "--repeat", type=values.whole(1), default=50, metavar="N", help="how often each is done; the median counts"
    )
    add_report(parser)


def run(a: Namespace) -> int:
    """Measure."""
    from benchmarks.codecs import main

    return main(a)
