"""`vtv taskres publish`."""

import json
from argparse import Namespace

from cli import options, taskres_options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "publish",
        "check a classification task and install it in a store",
        about="Servers that watch the store see the old task or the new one. Prints the artifact's hash.",
        examples=["vtv taskres publish animals.task --store my-store"],
        run=run,
    )
    parser.add_argument("task", type=values.input_file, metavar="TASK", help="what base, train or import wrote")
    options.add_target_store(parser)
    taskres_options.add_tower(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Validate, hash, install."""
    from artifacts.store.open import open_store
    from engine.towers.folder import read_fingerprint

    artifact = open_store(a.store).publish_residual(a.task, read_fingerprint(a.tower))
    entry = {"task": artifact.task, "artifact": artifact.hash}
    print(json.dumps(entry) if a.json else f"{artifact.task} {artifact.hash}")
    return 0
