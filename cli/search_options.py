"""The options that `vtv search` and `vtv build` share, and what they say to the search."""

from argparse import ArgumentParser, Namespace

from artifacts.search.settings import METHODS, PARTS, SearchSettings, method_settings
from cli import values
from cli.parser import UsageError

ALWAYS = ("granularity", "restrict", "prune", "seed")
STEPS = ("objective", "steps", "samples", "rate", "regularisation", "evaluate_every")
USED = {
    "reinforce": (*STEPS, "images"),
    "gates": (*STEPS, "tune_values"),
    "causal": ("images", "evaluate_every"),
    "all": (),
    "random": (),
}
"""What a method reads of the options, beside those that all read."""


def add_search_options(parser: ArgumentParser) -> None:
    """A group of their own in `--help`; what is not given is the method's own."""
    about = (
        "Reinforce samples masks, gates follow gradients, causal adds heads that help; all and random are floors. "
        "Options that the chosen method does not use are refused."
    )
    command = parser.add_argument_group("search", about)
    command.add_argument("--method", choices=METHODS, default="reinforce", help="how to search")
    command.add_argument("--published", action="store_true", help="reinforce as in the paper: 500 steps of 320 samples")
    command.add_argument(
        "--objective", choices=["pixel", "token"], help="of reinforce and gates: token decodes nothing (default: pixel)"
    )
    command.add_argument(
        "--granularity",
        choices=["head", "group", "token"],
        default="group",
        help="what is chosen at once: a head, a head at [CLS] or one quadrant, a head at one token",
    )
    command.add_argument("--restrict", choices=PARTS, help="write heads of this part alone (default: both)")
    command.add_argument("--steps", type=values.whole(0), metavar="N", help="default: 60, of gates 100")
    command.add_argument("--samples", type=values.whole(2), metavar="N", help="masks a step (default: 16)")
    command.add_argument(
        "--images", type=values.whole(1), metavar="N", help="queries a step (default: 4, of causal 10 in all)"
    )
    command.add_argument("--rate", type=values.positive, help="learning rate (default: 0.15, of gates 0.2)")
    command.add_argument(
        "--regularisation", type=values.not_negative, metavar="WEIGHT", help="of the mean probability (default: 0)"
    )
    command.add_argument(
        "--evaluate-every",
        type=values.whole(0),
        metavar="STEPS",
        help="keep the best mask on validation pictures (default: that of the end)",
    )
    command.add_argument("--tune-values", action="store_true", default=None, help="gates: move the values too")
    command.add_argument(
        "--prune",
        type=values.share,
        metavar="SHARE",
        help="drop heads while the loss grows no more (default: keep all)",
    )
    command.add_argument(
        "--tensorboard", type=values.output_folder, metavar="DIR", help="also write scalars there (default: none)"
    )


def search_settings(given: Namespace) -> SearchSettings:
    """The settings that the words of a command say, the usual ones where it has no such options; raises UsageError."""
    method, published = getattr(given, "method", "reinforce"), getattr(given, "published", False)
    chosen = {name: getattr(given, name, None) for name in (*ALWAYS, *STEPS, "images", "tune_values")}
    for name, value in chosen.items():
        if value is not None and name not in (*ALWAYS, *USED[method]):
            raise UsageError(f"--{name.replace('_', '-')} has no effect with --method {method}")
    return method_settings(method, published=published, **chosen)
