"""`vtv data`: makes data sets."""

from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """A command for each data set that can be made."""
    parser = commands.add(
        "data", "make a data set for training and for the offline job", examples=["vtv data demo --help"]
    )
    kinds = Commands(parser)
    _add_demo(kinds)
    _add_photos(kinds)
    _add_fashion_mnist(kinds)


def _add_demo(kinds: Commands) -> None:
    parser = kinds.add(
        "demo",
        "composite cut-outs over wallpapers, with exact masks, in VOC2012 layout",
        about="The pictures come from Debian packages (ATTRIBUTION.md names them), unpacked below --root. The bundled "
        "`demo` is a small one of these.",
        examples=[
            "vtv data demo --root packages -o data/scenes",
            "vtv data demo --root packages -o small --train 300 --val 60",
        ],
        run=demo,
    )
    parser.add_argument(
        "--root", type=values.input_folder, required=True, metavar="DIR", help="where the packages are unpacked"
    )
    options.add_output(parser, "the data set's folder", folder=True)
    parser.add_argument("--size", type=values.whole(16, 1024), default=128, metavar="PX", help="side of the pictures")
    parser.add_argument("--train", type=values.whole(0), default=30000, metavar="N", help="pictures for training")
    parser.add_argument("--val", type=values.whole(0), default=600, metavar="N", help="held-out pictures")
    options.add_seed(parser)
    parser.add_argument("--workers", type=values.whole(1), default=1, metavar="N", help="processes")


def _add_photos(kinds: Commands) -> None:
    parser = kinds.add(
        "photos",
        "scenes of photographs, with masks by a saliency network, in VOC2012 layout",
        about="Each photograph gets a mask by U²-Net-p; masks below 3 or above 85 % of the picture, or mostly gray, "
        "are left out. Their objects also go on other backgrounds. The split is by the content of the files.",
        examples=["vtv data photos pictures -o data/photos"],
        run=photos,
        resumes=True,
    )
    parser.add_argument("folders", type=values.input_folder, nargs="+", metavar="DIR", help="photographs")
    options.add_output(parser, "the data set's folder", folder=True)
    parser.add_argument(
        "--saliency", type=values.input_file, metavar="FILE", help="U²-Net-p as ONNX (default: the package's)"
    )
    parser.add_argument("--size", type=values.whole(16, 1024), default=224, metavar="PX", help="side of the pictures")
    parser.add_argument("--train", type=values.whole(0), default=24000, metavar="N", help="pictures for training")
    parser.add_argument(
        "--tune", type=values.whole(0), default=400, metavar="N", help="held-out pictures to choose settings on"
    )
    parser.add_argument("--val", type=values.whole(0), default=400, metavar="N", help="held-out pictures to test on")
    options.add_seed(parser)


def _add_fashion_mnist(kinds: Commands) -> None:
    parser = kinds.add(
        "fashion-mnist",
        "Fashion-MNIST as class folders, for vtv taskres",
        about="Of Debian's package dataset-fashion-mnist: the first pictures of each of its ten classes, as PNG. Get "
        "it with apt-get download dataset-fashion-mnist, unpack it with dpkg -x.",
        examples=["vtv data fashion-mnist --root packages -o data/fashion-mnist"],
        run=fashion_mnist,
    )
    parser.add_argument(
        "--root", type=values.input_folder, required=True, metavar="DIR", help="where the package is unpacked"
    )
    options.add_output(parser, "the data set's folder", folder=True)
    parser.add_argument("--train", type=values.whole(1), default=64, metavar="N", help="pictures a class for training")
    parser.add_argument("--test", type=values.whole(1), default=200, metavar="N", help="pictures a class for testing")
    parser.add_argument(
        "--skip", type=values.whole(0), default=0, metavar="N", help="test pictures a class to pass over first"
    )


def demo(a: Namespace) -> int:
    """Make the demonstration data set."""
    from artifacts.data.demo import make_demo

    sizes = {"size": a.size, "train": a.train, "val": a.val}
    make_demo(a.root, a.output, **sizes, seed=a.seed, workers=a.workers, progress=say)
    say(f"{a.train + a.val} pictures in {a.output}")
    return 0


def photos(a: Namespace) -> int:
    """Make the data set of photographs."""
    from artifacts.data.photos import make_photos

    sizes = {"size": a.size, "train": a.train, "tune": a.tune, "val": a.val}
    make_photos(a.folders, a.output, **sizes, seed=a.seed, progress=say, saliency=a.saliency)
    return 0


def fashion_mnist(a: Namespace) -> int:
    """Make class folders of Fashion-MNIST."""
    from artifacts.data.fashion_mnist import make_fashion_mnist

    make_fashion_mnist(a.root, a.output, a.train, a.test, say, a.skip)
    return 0
