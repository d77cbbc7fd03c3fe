"""`vtv` commands that make task vectors, and judge them."""

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.console import say
from cli.common import UsageError, job

if TYPE_CHECKING:
    from engine.task_vector import TaskVector


def collect(a: Namespace) -> int:
    """`vtv collect`."""
    from artifacts.build import collect_means
    from artifacts.data.datasets import find_task
    from artifacts.workers import joined

    with joined():
        collect_means(job(a, Path()), find_task(a.task, a.dataset), a.output, a.select)
    return 0


def taskness(a: Namespace) -> int:
    """`vtv taskness`."""
    from artifacts.collect.means import load_means
    from artifacts.collect.taskness import write_taskness

    report = write_taskness(a.output, [load_means(path)[0] for path in a.means])
    say(f"taskness.json and taskness.png in {a.output}")
    if a.json:
        print(json.dumps(report))
    return 0


def search(a: Namespace) -> int:
    """`vtv search`."""
    from artifacts.workers import joined

    with joined():
        return _search(a)


def _search(a: Namespace) -> int:
    from artifacts.build import fits, search_places, with_settings
    from artifacts.collect.means import load_means, zero_shot_values
    from artifacts.data.datasets import find_task
    from artifacts.resume import beside
    from artifacts.vector_file import save_found
    from artifacts.workers import by_lead

    if len(a.means) != len(a.task):
        raise UsageError("every --task needs its --means, in the same order")
    the, wanted, prompts = job(a, Path()), [], []
    for name, path in zip(a.task, a.means, strict=True):
        task, (means, how) = find_task(name, a.dataset), load_means(path, the.fingerprint)
        if means.task != task.name:
            raise UsageError(f"{path} holds means of {means.task}, not of {task.name}")
        if not fits(the, task, means):
            raise UsageError(f"{path} was collected from {how.source}, this is {the.source}: collect again")
        wanted.append((task, zero_shot_values(the.model, means)))
        prompts.append(means.prompts)
    alone = len(wanted) == 1
    paths = [a.output if alone else a.output / f"{task.name}.vector.safetensors" for task, _ in wanted]
    found = search_places(the, wanted, beside(a.output))
    for (task, _), count, place, path in zip(wanted, prompts, found, paths, strict=True):
        save_found(the, task, count, with_settings(the, task, place), path)
        the.progress(f"{task.name}: {place.vector.sites} sites written in {path}")
    by_lead(lambda: beside(a.output).unlink(missing_ok=True))
    return 0


def build(a: Namespace) -> int:
    """`vtv build`."""
    from artifacts.build import build_task
    from artifacts.controls import build_controls
    from artifacts.data.datasets import dataset_path, find_task
    from artifacts.data.pairs import is_pairs
    from artifacts.tasks import TASKS
    from artifacts.workers import joined

    if is_pairs(dataset_path(a.dataset)) and (not a.task or a.controls):
        raise UsageError("a folder of pairs holds one task: name it with --task, without --controls")
    chosen = [find_task(name, a.dataset) for name in a.task or list(TASKS)]
    with joined():
        the = job(a, a.work)
        for task in chosen:
            build_task(the, task, a.store)
        if a.controls:
            build_controls(the, chosen)
    return 0


def publish(a: Namespace) -> int:
    """`vtv publish`."""
    from artifacts.store.folder import Store
    from engine.checkpoint import read_description

    artifact = Store(a.store).publish(a.vector, read_description(a.model)[1])
    print(f"{artifact.task} {artifact.hash}")
    return 0


def teach(a: Namespace) -> int:
    """`vtv teach`."""
    from artifacts.data.pairs import load_pairs
    from artifacts.job import frozen_model
    from artifacts.teach import publish, refusal
    from artifacts.teach import teach as run

    model, fingerprint = frozen_model(a.model, a.device)
    pairs = load_pairs(a.examples, model.geometry.cell)
    if len(pairs) < 2:
        raise UsageError(f"{a.examples} holds one pair: teach needs 2 or more, each is the example for the others")
    taught = run(model, fingerprint, a.name, pairs, say, a.seed, a.steps)
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


def compose(a: Namespace) -> int:
    """`vtv compose`."""
    from artifacts.compose import compose as run
    from artifacts.store.artifact import save_artifact
    from artifacts.store.folder import Store

    store = Store(a.store)
    vector, metadata = run(store.read(a.first), store.read(a.second))
    save_artifact(a.output, vector, metadata)
    say(f"{metadata['task']}: {vector.sites} sites in {a.output}")
    return _compare(a, metadata["task"], vector) if a.evaluate else 0


def _compare(a: Namespace, name: str, composed: "TaskVector") -> int:
    """`vtv compose --evaluate`: the composition on a composite task, beside its parts and a direct search."""
    from dataclasses import asdict

    from artifacts.data.datasets import find_task
    from artifacts.evaluation.composites import composite_table, evaluate_composite
    from artifacts.job import held_out_episodes
    from artifacts.store.artifact import load_artifact
    from artifacts.store.folder import Store

    the, store = job(a, Path()), Store(a.store)
    vectors = {name: composed} | {part: store.read(part, the.fingerprint).vector for part in (a.first, a.second)}
    if a.direct is not None:
        vectors["searched directly"] = load_artifact(a.direct, the.fingerprint).vector
    task = find_task(a.evaluate, a.dataset)
    result = evaluate_composite(the.model, task, held_out_episodes(the, task, a.episodes), vectors, composed.answer)
    print(json.dumps(asdict(result)) if a.json else composite_table(result))
    return 0


def evaluate(a: Namespace) -> int:
    """`vtv evaluate`."""
    from artifacts.data.pascal import FOLDS
    from artifacts.evaluate import EvaluateOptions
    from artifacts.evaluate import evaluate as run
    from artifacts.evaluation.report import as_json, markdown
    from artifacts.evaluation.ways import BARE, ONE_SHOT

    options = EvaluateOptions(
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
    results = run(options, lambda fold: job(a, Path(), fold))
    print(json.dumps({"results": [as_json(r) for r in results]}) if a.json else markdown(results, "chosen"))
    return 0


def import_upstream(a: Namespace) -> int:
    """`vtv import-upstream`."""
    from artifacts.search.upstream import describe_upstream
    from artifacts.search.upstream import import_upstream as run
    from artifacts.store.artifact import check_name, save_artifact
    from engine.checkpoint import load_model

    check_name(a.task)
    model, fingerprint = load_model(a.model)
    found = run(model, fingerprint, a.task, a.means, a.bernoullis)
    save_artifact(a.output, found.vector, describe_upstream(a.task, found))
    say(f"{a.task}: {found.vector.sites} sites over {found.prompts} prompts, residual {found.residual:.2g}")
    return 0
