"""`vtv taskness`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "taskness",
        "draw how much each head's output depends on the task",
        about="Variance between tasks over variance within, from the means of two tasks or more.",
        examples=["vtv taskness segmentation.means inpaint.means -o out"],
        run=run,
    )
    parser.add_argument("means", type=values.input_file, nargs="+", metavar="MEANS", help="what `vtv collect` wrote")
    options.add_output(parser, "where taskness.json and taskness.png go", folder=True)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Write both files."""
    from artifacts.collect.means import load_means
    from artifacts.collect.taskness import write_taskness

    report = write_taskness(a.output, [load_means(path)[0] for path in a.means])
    say(f"taskness.json and taskness.png in {a.output}")
    if a.json:
        print(json.dumps(report))
    return 0
