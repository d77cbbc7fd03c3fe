"""`vtv build`: the whole offline job, collect, search, choose answer settings, evaluate, publish; and its controls."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError, run

import numpy as np
import torch
from torch import Tensor

from artifacts.collect.heads import Selection, collect
from artifacts.collect.means import Means, load_means, save_means
from artifacts.data.episodes import Episodes, Pixels, make_episodes
from artifacts.data.recolour import recoloured
from artifacts.data.scenes import Scenes
from artifacts.errors import OfflineError
from artifacts.evaluation.answer_settings import choose_settings
from artifacts.evaluation.bootstrap import interval
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import answers, episode_logits
from artifacts.progress import Progress
from artifacts.resume import beside
from artifacts.search.best import Found, SearchData, search
from artifacts.search.loop import Cost, Watch
from artifacts.search.settings import SearchSettings, method_settings
from artifacts.store.artifact import load_artifact, save_artifact
from artifacts.store.folder import Store
from artifacts.tasks import TASKS, Task
from artifacts.workers import by_lead
from engine.model import MaeVqgan
from engine.task_vector import TaskVector

CANDIDATE_PROMPTS, KEPT_PROMPTS = 400, 100
SEARCH_EPISODES, VALIDATION_EPISODES = 200, 96
CONTROLS = ("zeros", "average")


@dataclass(frozen=True)
class Job:
    """What every part of the offline job shares; `dataset` names data set and fold."""

    model: MaeVqgan
    fingerprint: str
    scenes: dict[str, Scenes]
    dataset: str
    work: Path
    settings: SearchSettings
    progress: Progress
    tensorboard: Path | None = None

    @property
    def source(self) -> str:
        """What episodes are made of, in words."""
        return f"{self.dataset}, seed {self.settings.seed}"


def episodes_of(job: Job, task: Task, part: str, count: int, seed: int) -> Episodes:
    """Episodes that a vector is made or chosen on: `part` is `search` or `validation`."""
    scenes = job.scenes[part]
    return make_episodes(recoloured(scenes, seed) if task.recolour else scenes, task, count, seed)


def candidate_prompts(job: Job, task: Task) -> Episodes:
    """What collect chooses among."""
    return episodes_of(job, task, "search", CANDIDATE_PROMPTS, job.settings.seed + 1)


def collect_means(job: Job, task: Task, path: Path, how: str = "best") -> Means:
    """Collect a task's means into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    selection, episodes = Selection(KEPT_PROMPTS, how), candidate_prompts(job, task)
    means = collect(job.model, job.fingerprint, task, episodes, selection, job.source, job.progress, beside(path))
    by_lead(lambda: save_means(path, means))
    by_lead(lambda: beside(path).unlink(missing_ok=True))
    job.progress(f"{task.name}: means over the {how} {means.prompts} of {len(episodes)} prompts")
    return means


def means_of(job: Job, task: Task) -> Means:
    """Collect a task's means, or take the file of an earlier run that was made from the same."""
    path = job.work / f"{task.name}.means.safetensors"
    if by_lead(path.is_file):
        try:
            means, how = load_means(path)
        except OfflineError as error:
            job.progress(f"{error}: collected again")
            return collect_means(job, task, path)
        if (means.model, how.selection) == (job.fingerprint, "best") and fits(job, task, means):
            return means
        job.progress(f"{path} was made from {how.source}, model {means.model[:12]}: collected again")
    return collect_means(job, task, path)


def fits(job: Job, task: Task, means: Means) -> bool:
    """Whether means are of a task, and of the candidates that this job would collect from."""
    if means.task != task.name or means.collected is None:
        return False
    return means.collected.digest == candidate_prompts(job, task).digest


def build_vector(job: Job, task: Task, values: tuple[Tensor, Tensor], checkpoint: Path) -> Found:
    """Search over given values, then choose the answer settings."""
    found = search_places(job, [(task, values)], checkpoint)[0]
    return with_settings(job, task, found)


def with_settings(job: Job, task: Task, found: Found) -> Found:
    """The same with the answer settings that do best on the validation episodes."""
    vector = choose_settings(job.model, task, found.vector, validation_episodes(job, task), job.progress)
    return Found(vector, found.cost)


def search_places(job: Job, wanted: Sequence[tuple[Task, tuple[Tensor, Tensor]]], checkpoint: Path) -> list[Found]:
    """Search over the given values of tasks; several share one mask."""
    data = []
    for task, values in wanted:
        train = episodes_of(job, task, "search", SEARCH_EPISODES, job.settings.seed + 2)
        data.append(SearchData(task, values, train, validation_episodes(job, task)))
    watch = Watch(job.progress, checkpoint, job.tensorboard)
    return search(job.model, job.fingerprint, data, job.settings, watch)


def validation_episodes(job: Job, task: Task) -> Episodes:
    """What masks and answer settings are chosen on."""
    return episodes_of(job, task, "validation", VALIDATION_EPISODES, job.settings.seed + 3)


def mean_answer(job: Job, task: Task) -> Pixels:
    """The mean colour of true answers of the search split, uint8 [3]: what a painter who never looks would paint."""
    answers_seen = make_episodes(job.scenes["search"], task, VALIDATION_EPISODES, job.settings.seed + 2).answer
    colour: Pixels = answers_seen.mean((0, 1, 2)).round().astype(np.uint8)
    return colour


def build_task(job: Job, task: Task, store: Path) -> str:
    """The whole job for one task; returns the published hash."""
    path = job.work / f"{task.name}.vector.safetensors"
    if not is_done(job, path):
        means = means_of(job, task)
        found = build_vector(job, task, zero_shot_values(job.model, means), beside(path))
        save_found(job, task, means.prompts, found, path)
    artifact = by_lead(lambda: Store(store).publish(path, job.fingerprint))
    job.progress(f"{task.name}: published {artifact.hash[:12]}, {artifact.metadata['metric']}")
    return artifact.hash


def save_found(job: Job, task: Task, prompts: int, found: Found, path: Path) -> None:
    """Write what a search found as an artifact; its checkpoint has done its duty."""
    metric = validation_metric(job, task, found.vector)
    by_lead(
        lambda: save_artifact(path, found.vector, describe(job, task, prompts, metric) | cost_entries(found.cost))
    )
    by_lead(lambda: beside(path).unlink(missing_ok=True))


def cost_entries(cost: Cost) -> dict[str, str]:
    """Metadata of what a search cost: queries answered in its steps and in choosing masks, and seconds."""
    return {
        "evaluations": str(cost.evaluations),
        "selection_evaluations": str(cost.selection_evaluations),
        "seconds": f"{cost.seconds:.1f}",
    }


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
            save_found(job, task, 0, search_places(job, [(task, (values[0], values[1]))], beside(path))[0], path)


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
    """Metadata of how a job searches, and on what; of numbers, those that are not the method's usual ones."""
    settings = job.settings
    about = {
        "granularity": settings.granularity,
        "method": settings.method,
        "objective": settings.objective,
        "seed": str(settings.seed),
        "dataset": job.dataset,
    }
    usual = asdict(method_settings(settings.method))
    return about | {
        name: str(value) for name, value in asdict(settings).items() if name not in about and value != usual[name]
    }


def is_done(job: Job, path: Path) -> bool:
    """Whether an earlier run left a vector that was searched in this job's way."""
    if not by_lead(path.is_file):
        return False
    held, wanted = {"objective": "pixel"} | load_artifact(path).metadata, how(job)
    names = {"dataset", *(field.name for field in fields(SearchSettings))}
    return held["model"] == job.fingerprint and all(held.get(name) == wanted.get(name) for name in names)


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
