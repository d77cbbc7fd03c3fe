"""`vtv evaluate`."""

import json
from argparse import Namespace
from pathlib import Path

from cli import options, values
from cli.parser import Commands, UsageError

ABOUT = """\
Compares one-shot prompts, zero-shot without and with the task vector, and what costs nothing (the query copied, one
colour), with the published and with the vector's own answer settings; 95 % intervals by bootstrap."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "evaluate",
        "score answers on held-out pictures",
        about=ABOUT,
        examples=[
            "vtv evaluate --task segmentation",
            "vtv evaluate --dataset demo --store my-store --report out",
            "vtv evaluate --task segmentation --vector segmentation.vector --json",
        ],
        run=run,
    )
    options.add_dataset(parser)
    folds = parser.add_mutually_exclusive_group()
    options.add_fold(folds)
    folds.add_argument("--all-folds", action="store_true", help="a column for each of Pascal-5i's four folds")
    parser.add_argument(
        "--task", action="append", metavar="NAME", help="repeat for several (default: every known task of the store)"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--vector", type=values.input_file, metavar="FILE", help="a vector file (default: the store's)")
    way.add_argument("--one-shot", action="store_true", help="print the one-shot row alone")
    way.add_argument("--no-vector", action="store_true", help="print the bare zero-shot row alone")
    parser.add_argument(
        "--controls",
        type=values.input_folder,
        metavar="DIR",
        help="also score the control vectors in this work folder of `vtv build --controls` (default: none)",
    )
    parser.add_argument(
        "--report", type=values.output_folder, metavar="DIR", help="also write tables and pictures (default: none)"
    )
    options.add_episodes(parser)
    parser.add_argument(
        "--full-size",
        type=values.whole(1),
        metavar="PX",
        help="also score at the pictures' own size, for demo 384 (default: 111 px alone)",
    )
    options.add_store(parser)
    options.add_model(parser)
    options.add_device(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Score, print a table or JSON, write a report."""
    from artifacts.data.pascal import FOLDS
    from artifacts.evaluate import EvaluateOptions, evaluate
    from artifacts.evaluation.report import as_json, markdown
    from artifacts.evaluation.ways import BARE, ONE_SHOT
    from cli.job import job

    if a.controls and (a.one_shot or a.no_vector):
        raise UsageError("--controls adds vectors to compare: it does not go with --one-shot or --no-vector")
    wanted = EvaluateOptions(
        a.dataset,
        a.store,
        a.episodes,
        tasks=a.task or (),
        folds=range(FOLDS) if a.all_folds else (a.fold,),
        vector=a.vector,
        only=ONE_SHOT if a.one_shot else BARE if a.no_vector else None,
        controls=a.controls,
        full_size=a.full_size,
        report=a.report,
    )
    results = evaluate(wanted, lambda fold: job(a, Path(), fold))
    print(json.dumps({"results": [as_json(r) for r in results]}) if a.json else markdown(results, "chosen"))
    return 0
