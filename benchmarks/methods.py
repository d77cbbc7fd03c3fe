"""`vtv bench methods`: every way to search, on held-out episodes, with what it cost.

Vectors that an earlier run left in the work folder are taken over; an interrupted search goes on.
"""

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from artifacts.build import build_vector, means_of
from artifacts.collect.means import zero_shot_values
from artifacts.data.datasets import find_task
from artifacts.evaluation.bootstrap import Interval
from artifacts.evaluation.composites import evaluate_composite
from artifacts.job import Job, held_out_episodes, load_job
from artifacts.resume import beside
from artifacts.search.settings import SearchSettings, method_settings
from artifacts.store.artifact import load_artifact
from artifacts.tasks import TASKS
from artifacts.tasks.task import Task
from artifacts.vector_file import is_done, save_found
from engine.task_vector import AnswerSettings

METHODS: Final[dict[str, dict[str, Any]]] = {
    "published": {"method": "reinforce", "published": True},
    "reinforce": {"method": "reinforce"},
    "reinforce-token": {"method": "reinforce", "objective": "token"},
    "gates": {"method": "gates"},
    "gates-token": {"method": "gates", "objective": "token"},
    "gates-tuned": {"method": "gates", "tune_values": True},
    "causal": {"method": "causal"},
    "all": {"method": "all"},
    "random": {"method": "random"},
}


@dataclass(frozen=True, slots=True)
class Row:
    """A task's score by a method, with the published answer settings and the vector's own, and its cost."""

    task: str
    metric: str
    method: str
    published: Interval
    own: Interval
    sites: int | None
    evaluations: int | None
    selection_evaluations: int | None
    seconds: float | None


def main(asked: Namespace) -> int:
    """The command. Returns 0; raises OfflineError for data that cannot be used."""
    tasks = [find_task(name, asked.dataset) for name in asked.task or list(TASKS)]
    job = load_job(asked.model, asked.dataset, method_settings("reinforce", seed=asked.seed), asked.work)
    rows: list[Row] = []
    for task in tasks:
        rows += compare(job, task, asked.method or list(METHODS), asked.episodes)
        if asked.output:
            asked.output.write_text(json.dumps(report(rows), indent=2) + "\n")
    print(json.dumps(report(rows)) if asked.json else table(rows))
    return 0


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """Plain JSON types."""
    return {"rows": [asdict(row) for row in rows]}


def compare(job: Job, task: Task, methods: Sequence[str], episodes: int) -> list[Row]:
    """Search a task by every method, or take its vector over; one-shot and bare zero-shot come first."""
    paths = {name: _searched(job, task, name) for name in methods}
    artifacts = {name: load_artifact(path, job.fingerprint) for name, path in paths.items()}
    vectors = {name: artifact.vector for name, artifact in artifacts.items()}
    result = evaluate_composite(job.model, task, held_out_episodes(job, task, episodes), vectors, AnswerSettings())
    rows = []
    for name, own in result.own.items():
        about = artifacts[name].metadata if name in artifacts else {}
        steps, choice = (int(about[key]) if key in about else None for key in ("evaluations", "selection_evaluations"))
        seconds = float(about["seconds"]) if "seconds" in about else None
        sites = vectors[name].sites if name in vectors else None
        rows.append(Row(task.name, task.metric, name, result.published[name], own, sites, steps, choice, seconds))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| task | method | published settings | own settings | sites | evaluations | to choose masks | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.sites, row.evaluations, row.selection_evaluations, row.seconds]
        tail = " | ".join("" if cell is None else f"{cell:,}" for cell in cells)
        lines.append(f"| {row.task} ({row.metric}) | {row.method} | {row.published} | {row.own} | {tail} |")
    return "\n".join(lines)


def _searched(job: Job, task: Task, name: str) -> Path:
    settings: SearchSettings = method_settings(seed=job.settings.seed, **METHODS[name])
    path, own = job.work / f"{task.name}.{name}.vector.safetensors", replace(job, settings=settings)
    if not is_done(own, path):
        means = means_of(own, task)
        found = build_vector(own, task, zero_shot_values(own.model, means), beside(path))
        save_found(own, task, means.prompts, found, path)
    return path
