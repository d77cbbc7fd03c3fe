"""`vtv teach`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands, UsageError

ABOUT = """\
DIR holds input/NAME.* and output/NAME.*, two pairs or more. From six pairs on a third is held out to judge the
vector; it is published where it does better than no vector, the input itself and one colour. Exit code 1: it does
not."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "teach",
        "make a task from a folder of input/output pairs",
        about=ABOUT,
        examples=["vtv teach sketch --examples pairs --store my-store", "vtv serve --store my-store"],
        run=run,
    )
    parser.add_argument("name", metavar="NAME", help="the task's name")
    parser.add_argument("--examples", type=values.input_folder, required=True, metavar="DIR", help="the pairs' folder")
    options.add_target_store(parser)
    parser.add_argument("--force", action="store_true", help="publish even if it is no better than no vector")
    parser.add_argument(
        "--steps", type=values.whole(0), default=60, metavar="N", help="of the search, from six pairs on"
    )
    options.add_seed(parser)
    options.add_model(parser)
    options.add_device(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Teach, judge, publish; 1 where the vector is not worth it."""
    from artifacts.data.pairs import load_pairs
    from artifacts.job import frozen_model
    from artifacts.store.file import check_name
    from artifacts.teach import publish, refusal, teach

    check_name(a.name)
    model, fingerprint = frozen_model(a.model, a.device)
    pairs = load_pairs(a.examples, model.geometry.cell)
    if len(pairs) < 2:
        raise UsageError(f"{a.examples} holds one pair: teach needs 2 or more, each is the example for the others")
    taught = teach(model, fingerprint, a.name, pairs, say, a.seed, a.steps)
    entry = {"task": a.name, "artifact": None, "metric": json.loads(taught.metadata["metric"])}
    if taught.better or a.force:
        entry["artifact"] = publish(taught, a.store).hash
    else:
        say(refusal(taught))
    if a.json:
        print(json.dumps(entry))
    elif entry["artifact"]:
        print(f"{a.name} {entry['artifact']}")
    return 0 if entry["artifact"] else 1
