"""Classification tasks from data sets: classes matched by name, and what a task's artifact says of itself."""

import json
from collections.abc import Sequence

from artifacts.errors import DatasetError
from artifacts.provenance import made_now
from artifacts.taskres.labelled import Labelled

NAMED = 10
"""Classes that a task's description names."""


def in_order(splits: dict[str, Labelled], labels: Sequence[str]) -> dict[str, Labelled]:
    """A data set with its classes numbered as a task's rows are; raises DatasetError where the names differ."""
    own = splits["train"].names
    if sorted(own) != sorted(labels):
        odd = ", ".join(sorted(set(own) ^ set(labels)))
        raise DatasetError(f"the data set's classes are not the task's; only one of them has: {odd[:200]}")
    return {name: split.classes(labels) for name, split in splits.items()}


def describe(
    task: str,
    method: str,
    shots: int,
    seed: int,
    dataset: str,
    description: str = "",
    metric: dict[str, object] | None = None,
) -> dict[str, str]:
    """Artifact metadata beyond what the residual itself says; `metric` None: not measured."""
    return {
        "task": task,
        "method": method,
        "shots": str(shots),
        "seed": str(seed),
        "dataset": dataset,
        "description": description,
        "metric": json.dumps(metric or {"name": "accuracy", "value": None}),
        **made_now(),
    }


def sentence(labels: Sequence[str]) -> str:
    """What a task does, where nobody said it."""
    if len(labels) <= NAMED:
        return f"Which of {len(labels)} classes: {', '.join(labels)}."
    return f"Which of {len(labels)} classes: {', '.join(labels[: NAMED - 1])} and {len(labels) - NAMED + 1} more."
