"""`vtv publish`."""

import json
from argparse import Namespace

from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "publish",
        "check a task vector, or a classification task, and install it in a store",
        about="Servers that watch the store see the old vector or the new one. Prints the artifact's hash.",
        examples=["vtv publish segmentation.vector --store my-store"],
        run=run,
    )
    parser.add_argument("vector", type=values.input_file, metavar="VECTOR", help="what `vtv search` wrote")
    parser.add_argument(
        "--sign",
        type=values.input_file,
        metavar="KEY",
        help="sign it with the Ed25519 private key in this PEM file, for VTV_TRUSTED_KEYS (default: unsigned)",
    )
    options.add_target_store(parser)
    options.add_model(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Validate, sign, hash, install."""
    from artifacts.store.base import is_classification
    from artifacts.store.open import open_store
    from artifacts.store.residual import AnyArtifact
    from artifacts.store.signature import signed_copy
    from engine.checkpoint import read_description

    store = open_store(a.store)
    with signed_copy(a.vector, a.sign) as path:
        artifact: AnyArtifact
        if is_classification(path):
            artifact = store.publish_any(path)
        else:
            artifact = store.publish(path, read_description(a.model)[1])
    entry = {"task": artifact.task, "artifact": artifact.hash}
    print(json.dumps(entry) if a.json else f"{artifact.task} {artifact.hash}")
    return 0
