"""`vtv bench methods`."""

from argparse import Namespace
from pathlib import Path

from cli import options, values
from cli.commands.bench.shared import add_report
from cli.parser import Commands

METHODS = (
    "published", "reinforce", "reinforce-token", "gates", "gates-token", "gates-tuned", "causal", "all", "random",
)  # fmt: skip
"""As `benchmarks.methods.METHODS`, which would load torch for every `--help`."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "methods",
        "every way to search, scored on held-out pictures, with what it cost",
        about="Takes hours for all. Vectors that an earlier run left in the work folder are taken over.",
        examples=["vtv bench methods --task segmentation --method gates --method reinforce"],
        run=run,
        resumes=True,
    )
    options.add_dataset(parser)
    parser.add_argument(
        "--task", action="append", metavar="NAME", help="repeat for several (default: the five published tasks)"
    )
    parser.add_argument("--method", action="append", choices=METHODS, help="repeat for several (default: all)")
    parser.add_argument(
        "--work", type=values.output_folder, default=Path("vtv-methods"), metavar="DIR", help="means and vectors"
    )
    options.add_episodes(parser)
    options.add_seed(parser)
    options.add_model(parser)
    add_report(parser)


def run(a: Namespace) -> int:
    """Search and score."""
    from benchmarks.methods import main

    return main(a)
