"""`vtv taskres evaluate`."""

import json
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from artifacts.store.residual import TaskResidual
    from artifacts.taskres.labelled import Labelled
    from artifacts.taskres.labelled_features import LabelledFeatures

SHOWN = 10
"""Pictures that are named where a server tells another class."""

ABOUT = """\
--task: the accuracy of a learnt task on a data set's test pictures. Its rows are found by class name, so any data set
will do whose classes the task has, all of them or some (domain generalisation).

--server: asks a server too, picture for picture; exit code 1 where it tells another class than the file. For that the
task's classes must be the data set's.

--base: a table of few-shot methods on the same draws and features. The residual, with alpha fixed, chosen and learnt;
the base alone; a residual on a random base; a linear probe; Tip-Adapter and Tip-Adapter-F. What a method has to
choose, it chooses on validation pictures; differences are paired, with 95 % intervals."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "evaluate",
        "measure a task, or compare few-shot methods",
        about=ABOUT,
        examples=[
            "vtv taskres evaluate --task animals.task --dataset sketches",
            "vtv taskres evaluate --task animals.task --dataset animals --server http://localhost:8000",
            "vtv taskres evaluate --base animals.base --dataset animals --shots 1,2,4 --seeds 1,2,3",
        ],
        run=run,
        resumes=True,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--task", type=values.input_file, metavar="FILE", help="what `vtv taskres train` wrote (default: none)"
    )
    what.add_argument(
        "--base", type=values.input_file, metavar="FILE", help="what `vtv taskres base` wrote (default: none)"
    )
    taskres_options.add_class_data(parser)
    parser.add_argument("--server", metavar="URL", help="of --task: one that serves it (default: none)")
    parser.add_argument(
        "--shots", type=values.counts, default=[1, 2, 4, 8, 16], metavar="N,N", help="of --base: pictures a class"
    )
    parser.add_argument("--seeds", type=values.counts, default=[1, 2, 3], metavar="N,N", help="of --base: draws")
    taskres_options.add_learning(parser)
    options.add_output(parser, "of --base: also write the table as JSON (default: none)", required=False)
    taskres_options.add_tower(parser)
    taskres_options.add_precision(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Measure or compare."""
    if a.server and a.base:
        raise UsageError("--server goes with --task")
    return _measure(a) if a.task else _compare(a)


def _measure(a: Namespace) -> int:
    from artifacts.store.residual import load_residual
    from artifacts.taskres.train import accuracy_metric, right_answers
    from engine.towers.folder import read_fingerprint

    artifact = load_residual(a.task, read_fingerprint(a.tower))
    splits = taskres_options.class_data(a, artifact.value.labels if a.server else None)
    value = artifact.value.rows(splits["test"].names)
    source = taskres_options.feature_source(a, splits)
    test = source.test()
    metric = accuracy_metric(right_answers(value, test), source.cache.encoder.precision)
    entry: dict[str, Any] = {"task": artifact.task, "dataset": taskres_options.data_name(a.dataset), **metric}
    if a.server:
        entry["server"] = _ask(a.server, artifact.task, value, splits["test"], test)
    print(json.dumps(entry) if a.json else _as_text(entry))
    return 1 if a.server and entry["server"]["differing"] else 0


def _ask(url: str, task: str, value: "TaskResidual", pictures: "Labelled", test: "LabelledFeatures") -> dict[str, Any]:
    from artifacts.console import say
    from artifacts.taskres.served import differing, served_classes
    from artifacts.taskres.train import told_classes

    offline = [value.labels[row] for row in told_classes(value, test.features).tolist()]
    served = served_classes(url, task, pictures.files, say)
    others = differing(served, offline)
    for row in others[:SHOWN]:
        say(f"{pictures.files[row]}: {served[row]} by the server, {offline[row]} by the file")
    right = sum(label == value.labels[own] for label, own in zip(served, pictures.labels, strict=True))
    return {"url": url, "value": round(right / len(served), 4), "differing": len(others)}


def _as_text(entry: dict[str, Any]) -> str:
    text = f"{entry['task']}: accuracy {entry['value']} {entry['interval']}"
    if asked := entry.get("server"):
        text += f"; by the server {asked['value']}, {asked['differing']} of {entry['episodes']} pictures differ"
    return text


def _compare(a: Namespace) -> int:
    from artifacts.console import say
    from artifacts.resume import beside
    from artifacts.store.residual import load_residual
    from artifacts.taskres.comparison import compare
    from artifacts.taskres.learner import Settings
    from artifacts.taskres.report import as_json, markdown
    from engine.towers.folder import read_fingerprint

    if a.alpha == "auto" or a.learn_alpha:
        raise UsageError("--base compares a fixed --alpha with a chosen and a learnt one: give it as a number")
    base = load_residual(a.base, read_fingerprint(a.tower)).value
    source = taskres_options.feature_source(a, taskres_options.class_data(a, base.labels))
    settings = Settings(alpha=a.alpha, learning_rate=a.rate)
    work = beside(a.output) if a.output else None
    table = compare(source, base, a.shots, a.seeds, settings, say, work)
    entry = {"dataset": taskres_options.data_name(a.dataset), "views": a.views, **as_json(table)}
    if a.output:
        a.output.write_text(json.dumps(entry, indent=1) + "\n")
    print(json.dumps(entry) if a.json else markdown(table))
    return 0
