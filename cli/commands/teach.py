"""`vtv teach`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

ABOUT = """\
DIR holds input/NAME.* and output/NAME.*, two pairs or more. From six pairs on a third is held out to judge the
vector; it is published where it does better than no vector, the input itself and one colour.

Or DIR holds CLASS/*, two classes or more, and the task is to tell them apart. A third of each class's pictures is held
out to judge it; it is published where it does better than the commonest class and no worse than its base.

Exit code 1: it does not."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "teach",
        "make a task from a folder of input/output pairs, or of classes",
        about=ABOUT,
        examples=[
            "vtv teach sketch --examples pairs --store my-store",
            "vtv teach animals --examples animals --store my-store",
            "vtv serve --store my-store",
        ],
        run=run,
    )
    parser.add_argument("name", metavar="NAME", help="the task's name")
    parser.add_argument("--examples", type=values.input_folder, required=True, metavar="DIR", help="the folder")
    options.add_target_store(parser)
    parser.add_argument("--force", action="store_true", help="publish even if it is no better than no teaching")
    parser.add_argument(
        "--steps", type=values.whole(0), metavar="N", help="of the search, from six pairs on (default: 60)"
    )
    options.add_seed(parser)
    options.add_model(parser)
    options.add_device(parser)
    taskres_options.add_tower(parser)
    taskres_options.add_precision(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Teach, judge, publish; 1 where the task is not worth it."""
    from artifacts.data.pairs import is_pairs
    from artifacts.store.file import check_name
    from artifacts.taskres.labelled import is_classes

    check_name(a.name)
    if is_pairs(a.examples) or not is_classes(a.examples):
        return _teach_pairs(a)
    if a.steps is not None:
        raise UsageError(f"--steps: {a.examples} holds classes, for which nothing is searched")
    return _teach_classes(a)


def _teach_pairs(a: Namespace) -> int:
    from artifacts.data.pairs import load_pairs
    from artifacts.job import frozen_model
    from artifacts.teach import STEPS, publish, refusal, teach

    model, fingerprint = frozen_model(a.model, a.device)
    pairs = load_pairs(a.examples, model.geometry.cell)
    if len(pairs) < 2:
        raise UsageError(f"{a.examples} holds one pair: teach needs 2 or more, each is the example for the others")
    taught = teach(model, fingerprint, a.name, pairs, say, a.seed, STEPS if a.steps is None else a.steps)
    found = publish(taught, a.store).hash if taught.better or a.force else None
    return _tell(a, taught.metadata, found, refusal(taught))


def _teach_classes(a: Namespace) -> int:
    from artifacts.taskres.features import FeatureCache
    from artifacts.taskres.labelled import load_classes
    from artifacts.taskres.teach import publish, refusal, teach_classes
    from engine.encoder import Encoder
    from engine.towers.folder import load_tower

    cache, pictures = FeatureCache(Encoder(load_tower(a.tower), a.precision)), load_classes(a.examples)
    taught = teach_classes(cache, a.tower, a.name, pictures, say, a.seed)
    found = publish(taught, a.store).hash if taught.better or a.force else None
    return _tell(a, taught.metadata, found, refusal(taught))


def _tell(a: Namespace, metadata: dict[str, str], artifact: str | None, refusal: str) -> int:
    if artifact is None:
        say(refusal)
    if a.json:
        print(json.dumps({"task": a.name, "artifact": artifact, "metric": json.loads(metadata["metric"])}))
    elif artifact:
        print(f"{a.name} {artifact}")
    return 0 if artifact else 1
