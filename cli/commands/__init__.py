"""One module a command: `add` declares its options, `run` makes its call."""

from typing import Protocol

from cli.commands import (
    bench,
    build,
    collect,
    compile,
    compose,
    data,
    evaluate,
    export,
    import_checkpoint,
    import_upstream,
    infer,
    parity,
    publish,
    search,
    serve,
    store,
    taskness,
    taskres,
    tasks,
    teach,
    train,
)
from cli.parser import Commands


class Command(Protocol):
    """What a module here offers."""

    def add(self, commands: Commands) -> None:
        """Declare the command, its options, and the function that runs it."""


ALL: tuple[Command, ...] = (
    serve, infer, tasks, compile,
    teach, build, collect, search, evaluate, publish, store, compose, taskness, import_upstream,
    taskres,
    data, train, export, import_checkpoint,
    parity, bench,
)  # fmt: skip
"""In the order of `vtv --help`: serving, task vectors, classification, models, checks."""
