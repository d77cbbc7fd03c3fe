"""Options that the commands of `vtv taskres` share."""

from argparse import Namespace
from argparse import _ActionsContainer as Container
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from artifacts.paths import BUNDLED_TOWERS
from cli import values
from engine.classification import Precision

if TYPE_CHECKING:
    from artifacts.taskres.labelled import Labelled
    from artifacts.taskres.labelled_features import FeatureSource

BUNDLED_TOWER = BUNDLED_TOWERS / "lite0"
TEMPLATE_SETS = (
    *("default", "imagenet", "caltech101", "oxford_pets", "stanford_cars", "oxford_flowers", "food101"),
    *("fgvc_aircraft", "sun397", "dtd", "eurosat", "ucf101"),
)
"""As `artifacts.taskres.templates.TEMPLATES`, whose folder would load torch for every `--help`."""


def add_tower(command: Container) -> None:
    """`--tower`."""
    command.add_argument(
        "--tower",
        type=values.input_folder,
        default=BUNDLED_TOWER,
        metavar="DIR",
        help="the image encoder's folder (default: bundled)",
    )


def add_precision(command: Container) -> None:
    """`--precision`."""
    command.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="bfloat16",
        help="what a server computes features in (VTV_TOWER_PRECISION): bfloat16 is float32 where a CPU lacks it",
    )


def add_class_data(command: Container, *, required: bool = True) -> None:
    """`--dataset` and how it is looked at."""
    layouts = "class folders (train/CLASS/*, test/CLASS/*), or one of CoOp's split files (.json)"
    command.add_argument(
        "--dataset",
        type=values.existing,
        required=required,
        metavar="DATA",
        help=layouts if required else f"{layouts} (default: none)",
    )
    command.add_argument(
        "--images",
        type=values.input_folder,
        metavar="DIR",
        help="where a split file's pictures lie (default: beside it)",
    )
    command.add_argument(
        "--cache",
        type=values.output_folder,
        metavar="DIR",
        help="where features are kept (default: ~/.cache/vtv/features)",
    )
    command.add_argument(
        "--views",
        type=values.whole(0),
        default=0,
        metavar="N",
        help="augmented views of each training picture: random crops, mirrored half the time; 0: its middle alone",
    )


def add_learning(command: Container) -> None:
    """How a residual is learnt."""
    command.add_argument(
        "--alpha",
        type=values.positive_or("auto"),
        default=0.5,
        metavar="A",
        help="of t + alpha x; auto: chosen on validation pictures",
    )
    command.add_argument("--learn-alpha", action="store_true", help="let alpha move too, from --alpha on")
    command.add_argument(
        "--rate", type=values.positive, default=2e-3, help="the highest learning rate; the paper has 2e-4 for ImageNet"
    )


def class_data(a: Namespace, labels: "tuple[str, ...] | None" = None) -> "dict[str, Labelled]":
    """The data set's splits; with `labels`, its classes numbered as these. Raises DatasetError."""
    from artifacts.taskres.labelled import load_labelled
    from artifacts.taskres.task import in_order

    splits = load_labelled(a.dataset, a.images)
    return splits if labels is None else in_order(splits, labels)


def feature_source(a: Namespace, splits: "dict[str, Labelled]") -> "FeatureSource":
    """The features of a data set through `--tower`."""
    from artifacts.console import say
    from artifacts.taskres.features import DEFAULT_CACHE, FeatureCache
    from artifacts.taskres.labelled_features import FeatureSource
    from engine.encoder import Encoder
    from engine.towers.folder import load_tower

    encoder = Encoder(load_tower(a.tower), a.precision)
    return FeatureSource(FeatureCache(encoder, a.cache or DEFAULT_CACHE), splits, say, a.views)


def data_name(path: Path) -> str:
    """What artifacts and tables call a data set: its folder's or file's name."""
    return path.resolve().stem
