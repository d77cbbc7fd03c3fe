"""`vtv build`."""

from argparse import Namespace
from pathlib import Path

from cli import options, values
from cli.parser import Commands, UsageError
from cli.search_options import add_search_options

ABOUT = """\
Of each task: `vtv collect`, `vtv search`, the choice of answer settings on validation pictures, and `vtv publish`.
What an earlier run left in the work folder is taken over."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "build",
        "run the whole offline job: collect, search, choose settings, evaluate, publish",
        about=ABOUT,
        examples=[
            "vtv build --dataset demo --store my-store",
            "vtv build --dataset pairs --task my-task --store my-store --method gates",
            "vtv build --store s3://bucket/prefix --ray auto",
        ],
        run=run,
        resumes=True,
    )
    options.add_dataset(parser)
    options.add_fold(parser)
    parser.add_argument(
        "--task", action="append", metavar="NAME", help="repeat for several (default: the five published tasks)"
    )
    options.add_target_store(parser)
    parser.add_argument(
        "--work", type=values.output_folder, default=Path("vtv-build"), metavar="DIR", help="intermediate files"
    )
    parser.add_argument("--controls", action="store_true", help="also search the two control vectors of each task")
    add_search_options(parser)
    options.add_seed(parser)
    options.add_model(parser)
    options.add_device(parser)
    options.add_ray(parser)


def run(a: Namespace) -> int:
    """Build and publish every asked task."""
    from artifacts.build import build_tasks
    from artifacts.controls import build_controls
    from artifacts.data.datasets import dataset_path, find_task
    from artifacts.data.pairs import is_pairs
    from artifacts.tasks import TASKS
    from artifacts.workers import joined
    from cli.job import job

    if is_pairs(dataset_path(a.dataset)) and (not a.task or a.controls):
        raise UsageError("a folder of pairs holds one task: name it with --task, without --controls")
    chosen = [find_task(name, a.dataset) for name in a.task or list(TASKS)]
    with joined():
        the = job(a, a.work)
        build_tasks(the, chosen, a.store)
        if a.controls:
            build_controls(the, chosen)
    return 0
