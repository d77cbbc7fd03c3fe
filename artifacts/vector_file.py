"""A searched vector's file: what it says of itself, and whether it is what a job would search again."""

import json
from dataclasses import asdict, fields
from pathlib import Path

from artifacts.data.episodes import Episodes
from artifacts.evaluation.bootstrap import interval
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import answers, episode_logits
from artifacts.job import Job, validation_episodes
from artifacts.provenance import made_now
from artifacts.resume import beside
from artifacts.search.best import Found
from artifacts.search.loop import Cost
from artifacts.search.settings import SearchSettings, method_settings
from artifacts.store.artifact import load_artifact, save_artifact
from artifacts.tasks.task import Task
from artifacts.workers import by_lead
from engine.model import MaeVqgan
from engine.task_vector import TaskVector


def save_found(job: Job, task: Task, prompts: int, found: Found, path: Path) -> None:
    """Write what a search found as an artifact; its checkpoint has done its duty."""
    metric = validation_metric(job, task, found.vector)
    by_lead(lambda: save_artifact(path, found.vector, describe(job, task, prompts, metric) | cost_entries(found.cost)))
    by_lead(lambda: beside(path).unlink(missing_ok=True))


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
        **made_now(),
    }


def how(job: Job) -> dict[str, str]:
    """Metadata of how a job searches, and on what; of numbers, those that are not the method's usual ones."""
    settings = job.settings
    about = {
        "granularity": settings.granularity,
        "method": settings.method,
        "objective": settings.objective,
        "seed": str(settings.seed),
        "dataset": Path(job.dataset).name,  # of a file that travels: whose folder it was is nobody's business
    }
    usual = asdict(method_settings(settings.method))
    return about | {
        name: str(value) for name, value in asdict(settings).items() if name not in about and value != usual[name]
    }


def cost_entries(cost: Cost) -> dict[str, str]:
    """Metadata of what a search cost: queries answered in its steps and in choosing masks, and seconds."""
    return {
        "evaluations": str(cost.evaluations),
        "selection_evaluations": str(cost.selection_evaluations),
        "seconds": f"{cost.seconds:.1f}",
    }


def validation_metric(job: Job, task: Task, vector: TaskVector) -> dict[str, object]:
    """The task's metric with the chosen settings, on the validation episodes."""
    return job.pieces.map(vector_metric, (task.metric, vector), [validation_episodes(job, task)])[0]


def vector_metric(model: MaeVqgan, metric: str, vector: TaskVector, episodes: Episodes) -> dict[str, object]:
    """The metric of a vector's answers."""
    logits = episode_logits(model, episodes, vector, one_shot=False)
    scores = METRICS[metric].score(answers(model, logits, episodes.query, vector.answer), episodes.answer)
    result = interval(scores)
    return {
        "name": metric,
        "value": round(result.mean, 4),
        "interval": [round(result.low, 4), round(result.high, 4)],
        "episodes": len(episodes),
        "split": "validation",
    }
