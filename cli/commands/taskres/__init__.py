"""`vtv taskres`: classification tasks, learnt as residuals over a frozen image encoder (TaskRes)."""

from cli.commands.taskres import base, evaluate, import_checkpoint, import_tower, publish, train
from cli.parser import Commands

ALL = (base, train, evaluate, publish, import_checkpoint, import_tower)
"""In the order of `vtv taskres --help`."""
ABOUT = """\
A task answers which class a picture shows. Over a frozen image encoder, a tower, it is one vector a class: a base
made of the class names, and a residual learnt from a few labelled pictures."""


def add(commands: Commands) -> None:
    """A command for each step."""
    parser = commands.add(
        "taskres",
        "classification tasks: make, measure and publish them",
        about=ABOUT,
        examples=["vtv taskres train --help"],
    )
    below = Commands(parser)
    for command in ALL:
        command.add(below)
