"""The command line's options of a search."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from artifacts.search.settings import METHODS, PARTS, SearchSettings, method_settings

GIVEN = (
    "granularity",
    "objective",
    "steps",
    "samples",
    "images",
    "rate",
    "regularisation",
    "evaluate_every",
    "restrict",
    "prune",
    "seed",
)


def add_search_options(command: ArgumentParser) -> None:
    """What `vtv search` and `vtv build` share."""
    command.add_argument("--method", choices=METHODS, default="reinforce")
    command.add_argument("--published", action="store_true", help="reinforce as in the paper: 500 steps of 320 samples")
    command.add_argument("--objective", choices=["pixel", "token"], help="of reinforce and gates; default pixel")
    command.add_argument("--granularity", choices=["head", "group", "token"], default="group")
    command.add_argument("--restrict", choices=PARTS, help="write sites of this part alone")
    command.add_argument("--steps", type=int, help="default 60, of gates 100")
    command.add_argument("--samples", type=int, help="masks a step; default 16")
    command.add_argument("--images", type=int, help="queries a step; default 4, of causal 10 in all")
    command.add_argument("--rate", type=float, help="learning rate; default 0.15, of gates 0.2")
    command.add_argument("--regularisation", type=float, help="weight of the mean probability; default 0")
    command.add_argument("--evaluate-every", type=int, metavar="STEPS", help="keep the best mask; default the last")
    command.add_argument("--tune-values", action="store_true", help="gates: move the values too")
    command.add_argument("--prune", type=float, metavar="SHARE", help="drop sites while the loss grows no more")
    command.add_argument("--tensorboard", type=Path, metavar="DIR", help="write scalars for TensorBoard")


def search_settings(given: Namespace) -> SearchSettings:
    """The settings that the words of a command say; usual ones where it has no such options."""
    chosen = {name: getattr(given, name, None) for name in GIVEN}
    tune = getattr(given, "tune_values", None) or None
    method, published = getattr(given, "method", "reinforce"), getattr(given, "published", False)
    return method_settings(method, published=published, tune_values=tune, **chosen)
