"""`vtv build`: the whole offline job, collect, search, choose answer settings, evaluate, publish; and its controls."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError, run

import torch
from torch import Tensor

from artifacts.answer_settings import choose_settings
from artifacts.artifact import load_artifact, save_artifact
from artifacts.collect import Means, collect, load_means, save_means
from artifacts.episodes import Episodes, make_episodes
from artifacts.evaluation.bootstrap import interval
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import Progress, answers, episode_logits
from artifacts.scenes import Scenes
from artifacts.search.best import search
from artifacts.search.run import SearchSettings
from artifacts.store import Store
from artifacts.tasks import TASKS, Task
from engine.model import MaeVqgan
from engine.task_vector import TaskVector

CANDIDATE_PROMPTS, KEPT_PROMPTS = 400, 100
SEARCH_EPISODES, VALIDATION_EPISODES = 200, 96
CONTROLS = ("zeros", "average")


@dataclass(frozen=True)
class Job:
    """What every part of the offline job shares."""

    model: MaeVqgan
    fingerprint: str
    scenes: dict[str, Scenes]
    dataset: str
    work: Path
    settings: SearchSettings
    progress: Progress


def means_of(job: Job, task: Task) -> Means:
    """Collect a task's means, or take the file of an earlier run."""
    path = job.work / f"{task.name}.means.safetensors"
    if path.is_file():
        return load_means(path, job.fingerprint)
    job.work.mkdir(parents=True, exist_ok=True)
    episodes = make_episodes(job.scenes["search"], task, CANDIDATE_PROMPTS, job.settings.seed + 1)
    means = collect(job.model, job.fingerprint, task, episodes, KEPT_PROMPTS)
    save_means(path, means)
    job.progress(f"{task.name}: means over the best {means.prompts} of {len(episodes)} prompts")
    return means


def build_vector(job: Job, task: Task, values: tuple[Tensor, Tensor]) -> TaskVector:
    """Search over fixed values, then choose the answer settings."""
    vector = search_places(job, task, values)
    return choose_settings(job.model, task, vector, validation_episodes(job, task), job.progress)


def search_places(job: Job, task: Task, values: tuple[Tensor, Tensor]) -> TaskVector:
    """Search over fixed values."""
    train = make_episodes(job.scenes["search"], task, SEARCH_EPISODES, job.settings.seed + 2)
    validation = validation_episodes(job, task)
    return search(job.model, job.fingerprint, task, values, train, validation, job.settings, job.progress)


def validation_episodes(job: Job, task: Task) -> Episodes:
    """What masks and answer settings are chosen on."""
    return make_episodes(job.scenes["validation"], task, VALIDATION_EPISODES, job.settings.seed + 3)


def build_task(job: Job, task: Task, store: Path) -> str:
    """The whole job for one task; returns the published hash."""
    path = job.work / f"{task.name}.vector.safetensors"
    if not is_done(job, path):
        means = means_of(job, task)
        vector = build_vector(job, task, zero_shot_values(job.model, means))
        save_artifact(path, vector, describe(job, task, means.prompts, validation_metric(job, task, vector)))
    artifact = Store(store).publish(path, job.fingerprint)
    job.progress(f"{task.name}: published {artifact.hash[:12]}, {artifact.metadata['metric']}")
    return artifact.hash


def build_controls(job: Job, tasks: Sequence[Task]) -> None:
    """The same search over zeros, and over the average of all five tasks' means: what place without content gives.

    Controls are compared at the task's own answer settings, so none are chosen for them.
    """
    every = [zero_shot_values(job.model, means_of(job, task)) for task in TASKS.values()]
    average = tuple(torch.stack([values[part] for values in every]).mean(0) for part in (0, 1))
    for task in tasks:
        for kind in CONTROLS:
            path = control_path(job.work, task, kind)
            if is_done(job, path):
                continue
            values = (average[0], average[1]) if kind == "average" else tuple(torch.zeros_like(v) for v in average)
            job.progress(f"{task.name}: control {kind}")
            vector = search_places(job, task, (values[0], values[1]))
            save_artifact(path, vector, describe(job, task, 0, validation_metric(job, task, vector)))


def control_path(work: Path, task: Task, kind: str) -> Path:
    """Where a control vector lies."""
    return work / f"{task.name}.control-{kind}.safetensors"


def load_controls(work: Path, task: Task, fingerprint: str) -> dict[str, TaskVector]:
    """The control vectors that were built for a task."""
    paths = {kind: control_path(work, task, kind) for kind in CONTROLS}
    return {kind: load_artifact(path, fingerprint).vector for kind, path in paths.items() if path.is_file()}


def zero_shot_values(model: MaeVqgan, means: Means) -> tuple[Tensor, Tensor]:
    """Means of one-shot prompts at the zero-shot program's tokens."""
    return means.for_program(model.program("zero_shot"), model.program("one_shot"))


def validation_metric(job: Job, task: Task, vector: TaskVector) -> dict[str, object]:
    """The task's metric with the chosen settings, on the validation episodes."""
    episodes = validation_episodes(job, task)
    logits = episode_logits(job.model, episodes, vector, one_shot=False)
    scores = METRICS[task.metric](answers(job.model, logits, episodes.query, vector.answer), episodes.answer)
    result = interval(scores)
    return {
        "name": task.metric,
        "value": round(result.mean, 4),
        "interval": [round(result.low, 4), round(result.high, 4)],
        "episodes": len(episodes),
        "split": "validation",
    }


def how(job: Job) -> dict[str, str]:
    """Metadata of how a job searches, and on what."""
    settings = job.settings
    about = {
        "granularity": settings.granularity,
        "method": settings.method,
        "objective": settings.objective,
        "seed": str(settings.seed),
        "dataset": job.dataset,
    }
    return about if settings.prune is None else about | {"prune": str(settings.prune)}


def is_done(job: Job, path: Path) -> bool:
    """Whether an earlier run left a vector that was searched in this job's way."""
    if not path.is_file():
        return False
    held = {"objective": "pixel"} | load_artifact(path, job.fingerprint).metadata
    names = ("granularity", "method", "objective", "seed", "dataset", "prune")
    return all(held.get(name) == how(job).get(name) for name in names)


def describe(job: Job, task: Task, prompts: int, metric: dict[str, object]) -> dict[str, str]:
    """Artifact metadata beyond what the vector itself says."""
    return how(job) | {
        "task": task.name,
        "description": task.description,
        "prompts": str(prompts),
        "metric": json.dumps(metric),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": commit(),
    }


def commit() -> str:
    """The commit of the code, or `unknown` outside a checkout."""
    try:
        done = run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, CalledProcessError):
        return "unknown"
    return done.stdout.strip()
