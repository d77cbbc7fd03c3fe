"""`vtv publish`."""

import json
from argparse import Namespace

from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "publish",
        "check a task vector and install it in a store",
        about="Servers that watch the store see the old vector or the new one. Prints the artifact's hash.",
        examples=["vtv publish segmentation.vector --store my-store"],
        run=run,
    )
    parser.add_argument("vector", type=values.input_file, metavar="VECTOR", help="what `vtv search` wrote")
    options.add_target_store(parser)
    options.add_model(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Validate, hash, install."""
    from artifacts.store.open import open_store
    from engine.checkpoint import read_description

    artifact = open_store(a.store).publish(a.vector, read_description(a.model)[1])
    entry = {"task": artifact.task, "artifact": artifact.hash}
    print(json.dumps(entry) if a.json else f"{artifact.task} {artifact.hash}")
    return 0
