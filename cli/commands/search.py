"""`vtv search`."""

from argparse import Namespace
from pathlib import Path

from cli import options, values
from cli.parser import Commands, UsageError
from cli.search_options import add_search_options

ABOUT = """\
The second step of `vtv build`. Needs the means that `vtv collect` made, of the same data set, model and seed. Several
tasks (repeat --task and --means) share one mask."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "search",
        "search the heads where writing a task's means helps",
        about=ABOUT,
        examples=[
            "vtv search --task segmentation --means segmentation.means -o segmentation.vector",
            "vtv search --task inpaint --means inpaint.means -o inpaint.vector --method gates --objective token",
        ],
        run=run,
        resumes=True,
    )
    options.add_dataset(parser)
    options.add_fold(parser)
    parser.add_argument("--task", action="append", required=True, metavar="NAME", help="repeat for several tasks")
    parser.add_argument(
        "--means", action="append", type=values.input_file, required=True, metavar="FILE", help="one for each task"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=values.output,
        required=True,
        metavar="FILE",
        help="the vector file; a folder for several tasks",
    )
    add_search_options(parser)
    options.add_seed(parser)
    options.add_model(parser)
    options.add_device(parser)


def run(a: Namespace) -> int:
    """Search, and write a vector for each task."""
    from artifacts.workers import joined

    if len(a.means) != len(a.task):
        raise UsageError("every --task needs its --means, in the same order")
    if a.output.is_dir() and len(a.task) == 1:
        raise UsageError(f"-o takes a file for one task, and {a.output} is a folder")
    if a.output.is_file() and len(a.task) > 1:
        raise UsageError(f"-o takes a folder for several tasks, and {a.output} is a file")
    with joined():
        return _search(a)


def _search(a: Namespace) -> int:
    """In every process of the job."""
    from artifacts.build import fits, search_places, with_settings
    from artifacts.collect.means import load_means, zero_shot_values
    from artifacts.data.datasets import find_task
    from artifacts.resume import beside
    from artifacts.vector_file import save_found
    from artifacts.workers import by_lead
    from cli.job import job

    tasks = [find_task(name, a.dataset) for name in a.task]
    the, wanted, prompts = job(a, Path()), [], []
    for task, path in zip(tasks, a.means, strict=True):
        means, how = load_means(path, the.fingerprint)
        if means.task != task.name:
            raise UsageError(f"{path} holds means of {means.task}, not of {task.name}")
        if not fits(the, task, means):
            raise UsageError(f"{path} was collected from {how.source}, this is {the.source}: collect again")
        wanted.append((task, zero_shot_values(the.model, means)))
        prompts.append(means.prompts)
    alone = len(wanted) == 1
    paths = [a.output if alone else a.output / f"{task.name}.vector.safetensors" for task, _ in wanted]
    found = search_places(the, wanted, beside(a.output))
    for (task, _), count, place, path in zip(wanted, prompts, found, paths, strict=True):
        save_found(the, task, count, with_settings(the, task, place), path)
        the.progress(f"{task.name}: {place.vector.sites} sites written in {path}")
    by_lead(lambda: beside(a.output).unlink(missing_ok=True))
    return 0
