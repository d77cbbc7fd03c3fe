"""`vtv evaluate`: tasks scored on the test split, every way to answer on the same episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from artifacts.controls import load_controls
from artifacts.data.datasets import find_task, held_out_scenes
from artifacts.data.episodes import Episodes
from artifacts.errors import OfflineError
from artifacts.evaluation.confidence import judged, scored_answers
from artifacts.evaluation.full_size import EPISODES, evaluate_full_size
from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.report import write_report
from artifacts.evaluation.table import TaskResult, evaluate_task
from artifacts.evaluation.ways import VECTOR
from artifacts.job import TEST_SEED, Job, held_out_episodes, mean_answer
from artifacts.store.address import StoreAddress
from artifacts.store.artifact import load_artifact
from artifacts.store.base import ArtifactStore
from artifacts.store.open import open_store
from artifacts.tasks import COMPOSITES, TASKS
from artifacts.tasks.task import Task
from engine.task_vector import AnswerSettings, TaskVector


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What to score: `tasks` (none: all that the store holds), on how many `episodes` of which `folds` (None: no fold).

    `vector`: a file instead of the store's vector. `only`: the one row of the tables that is asked for; rows without
    a vector need none. `controls`: the folder of `vtv build --controls`. `full_size`: also at this many pixels.
    """

    dataset: str
    store: StoreAddress
    episodes: int
    tasks: Sequence[str] = ()
    folds: Sequence[int | None] = (None,)
    vector: Path | None = None
    only: str | None = None
    controls: Path | None = None
    full_size: int | None = None
    report: Path | None = None


def evaluate(options: EvaluateOptions, job_of: Callable[[int | None], Job]) -> list[TaskResult]:
    """Score every asked task, of every fold; write a report where one is asked for."""
    tasks_of(options)  # refused before any data are read
    results: list[TaskResult] = []
    episodes: dict[str, Episodes] = {}
    for fold in options.folds:
        job = job_of(fold)
        for result, part in evaluate_split(options, job, fold):
            named = replace(result, task=f"{result.task}, fold {fold}") if len(options.folds) > 1 else result
            results.append(named)
            episodes[named.task] = part
            job.progress(f"{named.task}: {', '.join(f'{way} {value}' for way, value in named.chosen.items())}")
    if options.report is not None:
        write_report(options.report, f"Held-out results of {job.model.config.name}", results, episodes)
    return results


def tasks_of(options: EvaluateOptions) -> list[Task]:
    """What is to be scored; raises OfflineError where there is nothing."""
    names = options.tasks or [n for n in open_store(options.store).names() if n in TASKS or n in COMPOSITES]
    if not names:
        raise OfflineError(f"{options.store} holds no task that {options.dataset} can score: name one with --task")
    return [find_task(name, options.dataset) for name in names]


def evaluate_split(options: EvaluateOptions, job: Job, fold: int | None) -> list[tuple[TaskResult, Episodes]]:
    """Every asked task on the test split of one job."""
    store, out = open_store(options.store), []
    for task in tasks_of(options):
        vectors, settings = chosen_vectors(options, job, store, task)
        episodes = held_out_episodes(job, task, options.episodes)
        result = evaluate_task(
            job.model, task, episodes, vectors, settings, mean_answer(job, task), progress=job.progress
        )
        if options.full_size is not None:
            count = min(options.episodes, EPISODES)
            scenes = held_out_scenes(options.dataset, options.full_size, fold, limit=2 * count)
            full = evaluate_full_size(job.model, task, scenes, TEST_SEED, vectors, settings, count)
            result = replace(result, full=full)
        if (trust := settings.confidence) is not None:
            cells, scores = scored_answers(job.model, task, vectors[VECTOR], episodes)
            job.progress(f"{task.name}: {judged(trust, cells, METRICS[task.metric], scores)}")
        out.append((result if options.only is None else narrowed(result, options.only), episodes))
    return out


def chosen_vectors(
    options: EvaluateOptions, job: Job, store: ArtifactStore, task: Task
) -> tuple[dict[str, TaskVector], AnswerSettings]:
    """The vectors to score, by the row's name, and the answer settings that all rows share."""
    if options.only is not None:
        return {}, AnswerSettings()
    if options.vector is not None:
        artifact = load_artifact(options.vector, job.fingerprint)
    else:
        artifact = store.read(task.name, job.fingerprint)
    vectors = {VECTOR: artifact.vector}
    if options.controls is not None:
        for kind, vector in load_controls(options.controls, task, job.fingerprint).items():
            vectors[f"control: searched {kind}"] = vector
    return vectors, artifact.vector.answer


def narrowed(result: TaskResult, row: str) -> TaskResult:
    """One row of every table."""
    tables: list[dict[str, Any]] = [result.published, result.chosen, result.quality, result.classes, result.empty]
    tables += [] if result.full is None else [result.full.published, result.full.chosen, result.full.borders]
    for table in tables:
        for way in [w for w in table if w != row]:
            del table[way]
    return result
