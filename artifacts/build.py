"""`vtv build`: the whole offline job, collect, search, choose answer settings, evaluate, publish."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from artifacts.collect.heads import Selection, collect
from artifacts.collect.means import Means, load_means, save_means, zero_shot_values
from artifacts.data.episodes import Episodes
from artifacts.errors import OfflineError
from artifacts.evaluation.answer_settings import choose_settings
from artifacts.evaluation.confidence import with_confidence
from artifacts.job import (
    KEPT_PROMPTS,
    Job,
    calibration_episodes,
    candidate_prompts,
    search_episodes,
    validation_episodes,
)
from artifacts.resume import beside
from artifacts.search.best import Found, SearchData, search
from artifacts.search.loop import Watch
from artifacts.store.address import StoreAddress
from artifacts.store.open import open_store
from artifacts.tasks.task import Task
from artifacts.vector_file import is_done, save_found
from artifacts.workers import by_lead
from engine.model import MaeVqgan
from engine.task_vector import TaskVector


def collect_means(job: Job, task: Task, path: Path, how: str = "best") -> Means:
    """Collect a task's means into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    selection, episodes = Selection(KEPT_PROMPTS, how), candidate_prompts(job, task)
    means = collect(
        job.model, job.fingerprint, task, episodes, selection, job.source, job.progress, beside(path), job.pieces
    )
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
    """The same with the answer settings that do best on the validation episodes, and a confidence."""
    episodes = validation_episodes(job, task), calibration_episodes(job, task)
    vector, lines = job.pieces.map(chosen_settings, (task, found.vector), [episodes])[0]
    for line in lines:
        job.progress(line)
    return Found(vector, found.cost)


def chosen_settings(
    model: MaeVqgan, task: Task, vector: TaskVector, episodes: tuple[Episodes, Episodes]
) -> tuple[TaskVector, list[str]]:
    """The same, and what is to be told; of episodes to choose on and to calibrate on."""
    lines: list[str] = []
    validation, calibration = episodes
    chosen = choose_settings(model, task, vector, validation, lines.append)
    return with_confidence(model, task, chosen, calibration), lines


def search_places(job: Job, wanted: Sequence[tuple[Task, tuple[Tensor, Tensor]]], checkpoint: Path) -> list[Found]:
    """Search over the given values of tasks; several share one mask."""
    data = [
        SearchData(task, values, search_episodes(job, task), validation_episodes(job, task)) for task, values in wanted
    ]
    watch = Watch(job.progress, checkpoint, job.tensorboard)
    return search(job.model, job.fingerprint, data, job.settings, watch, job.pieces)


def build_task(job: Job, task: Task, store: StoreAddress) -> str:
    """The whole job for one task; returns the published hash."""
    path = job.work / f"{task.name}.vector.safetensors"
    if not is_done(job, path):
        means = means_of(job, task)
        found = build_vector(job, task, zero_shot_values(job.model, means), beside(path))
        save_found(job, task, means.prompts, found, path)
    artifact = by_lead(lambda: open_store(store).publish(path, job.fingerprint))
    job.progress(f"{task.name}: published {artifact.hash[:12]}, {artifact.metadata['metric']}")
    return artifact.hash


def build_tasks(job: Job, tasks: Sequence[Task], store: StoreAddress) -> None:
    """The whole job for each; for all at once where a cluster computes."""
    if not job.pieces.elsewhere:
        for task in tasks:
            build_task(job, task, store)
        return
    with ThreadPoolExecutor(max(1, len(tasks)), initializer=torch.set_flush_denormal, initargs=(True,)) as pool:
        running = [pool.submit(build_task, job, task, store) for task in tasks]
        try:
            for each in running:
                each.result()
        except BaseException:  # an interruption too: what was done is kept, and none goes on
            job.pieces.stop()
            raise
