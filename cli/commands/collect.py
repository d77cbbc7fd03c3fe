"""`vtv collect`."""

from argparse import Namespace
from pathlib import Path

from cli import options
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "collect",
        "collect mean head outputs of a task over solved prompts",
        about="The first step of `vtv build`. Of 400 candidate prompts the 100 that are answered best are averaged.",
        examples=["vtv collect --task segmentation -o segmentation.means"],
        run=run,
        resumes=True,
    )
    options.add_dataset(parser)
    options.add_fold(parser)
    parser.add_argument("--task", required=True, metavar="NAME", help="what the prompts show; any name for pairs")
    options.add_output(parser, "the means file")
    parser.add_argument(
        "--select", choices=["best", "unique", "random"], default="best", help="which of the candidates are averaged"
    )
    options.add_seed(parser)
    options.add_model(parser)
    options.add_device(parser)


def run(a: Namespace) -> int:
    """Collect means into a file."""
    from artifacts.build import collect_means
    from artifacts.data.datasets import find_task
    from artifacts.workers import joined
    from cli.job import job

    task = find_task(a.task, a.dataset)
    with joined():
        collect_means(job(a, Path()), task, a.output, a.select)
    return 0
