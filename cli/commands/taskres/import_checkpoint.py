"""`vtv taskres import`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, taskres_options, values
from cli.parser import Commands

ABOUT = """\
Reads prompt_learner/model.pth.tar-EPOCH without running anything in it. The file holds base and residual alone: what
alpha and scale they were trained with, and which class each row is, must be told. A wrong alpha costs accuracy
without a word."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "import",
        "take over a checkpoint of the public TaskRes code",
        about=ABOUT,
        examples=[
            "vtv taskres import model.pth.tar-100 --names names.txt --alpha 0.5 --scale 100 --tower my-tower "
            "--task pets -o pets.task"
        ],
        run=run,
    )
    parser.add_argument("checkpoint", type=values.input_file, metavar="CHECKPOINT", help="prompt_learner/model.*")
    parser.add_argument(
        "--names", type=values.input_file, required=True, metavar="FILE", help="class names, one a line, row by row"
    )
    parser.add_argument(
        "--alpha", type=values.positive, required=True, metavar="A", help="RESIDUAL_SCALE of its training"
    )
    parser.add_argument(
        "--scale", type=values.positive, required=True, metavar="S", help="exp of the model's logit scale; CLIP's: 100"
    )
    parser.add_argument("--task", required=True, metavar="NAME", help="the task's name")
    parser.add_argument("--description", default="", metavar="TEXT", help="what the task does (default: its classes)")
    options.add_output(parser, "the task's file")
    taskres_options.add_tower(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Read, check against the tower, write."""
    from artifacts.store.file import check_name
    from artifacts.store.residual import save_residual
    from artifacts.taskres.names import read_names
    from artifacts.taskres.public_checkpoint import read_task
    from artifacts.taskres.task import describe, sentence
    from engine.towers.folder import load_tower

    check_name(a.task)
    value = read_task(a.checkpoint, read_names(a.names), a.alpha, a.scale, load_tower(a.tower))
    about = describe(a.task, "public task residual", 0, 0, "unknown", a.description or sentence(value.labels))
    digest = save_residual(a.output, value, about)
    say(f"{a.task}: {len(value.labels)} classes in {a.output}")
    if a.json:
        print(json.dumps({"task": a.task, "artifact": digest, "classes": len(value.labels)}))
    return 0
