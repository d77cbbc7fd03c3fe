"""Control vectors: the same search over values without the task's content, to tell what place alone gives."""

from collections.abc import Sequence
from pathlib import Path

import torch

from artifacts.build import means_of, search_places
from artifacts.collect.means import zero_shot_values
from artifacts.job import Job
from artifacts.resume import beside
from artifacts.store.artifact import load_artifact
from artifacts.tasks import TASKS
from artifacts.tasks.task import Task
from artifacts.vector_file import is_done, save_found
from engine.task_vector import TaskVector

CONTROLS = ("zeros", "average")


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
