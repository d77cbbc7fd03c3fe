"""The body of `vtv evaluate`."""

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from artifacts.build import Job, load_controls, mean_answer
from artifacts.data.datasets import find_task, held_out_scenes
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.evaluation.full_size import EPISODES, evaluate_full_size
from artifacts.evaluation.report import as_json, markdown, write_report
from artifacts.evaluation.table import TaskResult, evaluate_task
from artifacts.evaluation.ways import BARE, ONE_SHOT, VECTOR
from artifacts.progress import Progress
from artifacts.store.artifact import load_artifact
from artifacts.store.folder import Store
from artifacts.tasks import COMPOSITES, TASKS, Task
from engine.task_vector import AnswerSettings, TaskVector

TEST_SEED = 101
FOLDS = range(4)


def evaluate(a: Namespace, job_of: Callable[[int | None], Job], say: Progress) -> int:
    """Score every asked task on the test split, of every fold if so asked; print a table or JSON; write a report."""
    results: list[TaskResult] = []
    episodes: dict[str, Episodes] = {}
    for fold in FOLDS if a.all_folds else [a.fold]:
        job = job_of(fold)
        for result, part in evaluate_split(a, job, fold):
            named = replace(result, task=f"{result.task}, fold {fold}") if a.all_folds else result
            results.append(named)
            episodes[named.task] = part
            say(f"{named.task}: {', '.join(f'{way} {value}' for way, value in named.chosen.items())}")
    if a.report is not None:
        write_report(a.report, f"Held-out results of {job.model.config.name}", results, episodes)
    print(json.dumps({"results": [as_json(r) for r in results]}) if a.json else markdown(results, "chosen"))
    return 0


def evaluate_split(a: Namespace, job: Job, fold: int | None) -> list[tuple[TaskResult, Episodes]]:
    """Every asked task on the test split of one job."""
    store, out = Store(a.store), []
    for name in a.task or [n for n in store.names() if n in TASKS or n in COMPOSITES]:
        task = find_task(name, a.dataset)
        vectors, settings = chosen_vectors(a, job, store, task)
        episodes = make_episodes(job.scenes["test"], task, a.episodes, TEST_SEED)
        result = evaluate_task(job.model, task, episodes, vectors, settings, mean_answer(job, task))
        if a.full_size is not None:
            count = min(a.episodes, EPISODES)
            scenes = held_out_scenes(a.dataset, a.full_size, fold, limit=2 * count)
            full = evaluate_full_size(job.model, task, scenes, TEST_SEED, vectors, settings, count)
            result = replace(result, full=full)
        out.append((narrowed(a, result), episodes))
    return out


def chosen_vectors(a: Namespace, job: Job, store: Store, task: Task) -> tuple[dict[str, TaskVector], AnswerSettings]:
    """The vectors to score, by the row's name, and the answer settings that all rows share."""
    if a.one_shot or a.no_vector:
        return {}, AnswerSettings()
    if a.vector is not None:
        artifact = load_artifact(a.vector, job.fingerprint)
    else:
        artifact = store.read(task.name, job.fingerprint)
    vectors = {VECTOR: artifact.vector}
    if a.controls is not None:
        for kind, vector in load_controls(a.controls, task, job.fingerprint).items():
            vectors[f"control: searched {kind}"] = vector
    return vectors, artifact.vector.answer


def narrowed(a: Namespace, result: TaskResult) -> TaskResult:
    """Only the row that was asked for with --one-shot or --no-vector."""
    keep = ONE_SHOT if a.one_shot else BARE if a.no_vector else None
    if keep is not None:
        tables: list[dict[str, Any]] = [result.published, result.chosen, result.quality, result.classes]
        tables += [] if result.full is None else [result.full.published, result.full.chosen]
        for table in tables:
            for way in [w for w in table if w != keep]:
                del table[way]
    return result
