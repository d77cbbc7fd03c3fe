"""What clients are told about a task."""

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from artifacts.store.residual import AnyArtifact, ResidualArtifact


class TaskInfo(BaseModel):
    name: str
    kind: Literal["painting", "classification"] = Field(description="Whether it answers with a picture or classes.")
    description: str
    classes: int | None = Field(description="How many classes it tells apart; null for what paints.")
    takes: list[Literal["mask", "threshold", "top_k"]] = Field(
        description="What a request may hold that not every task has a use for."
    )
    artifact: str = Field(description="SHA-256 of the artifact's file.")
    metric: Any = Field(description="What was measured on validation pictures when it was made.")
    created: str | None = Field(description="When it was made, ISO 8601.")


def describe(artifact: AnyArtifact) -> TaskInfo:
    """What an artifact's metadata say. Raises ValueError where they are not understood."""
    classes = len(artifact.value.labels) if isinstance(artifact, ResidualArtifact) else None
    return TaskInfo(
        name=artifact.task,
        kind="painting" if classes is None else "classification",
        classes=classes,
        takes=_taken(artifact),
        description=artifact.description,
        artifact=artifact.hash,
        metric=_metric(artifact.metadata.get("metric")),
        created=artifact.metadata.get("created"),
    )


def _taken(artifact: AnyArtifact) -> list[Literal["mask", "threshold", "top_k"]]:
    if isinstance(artifact, ResidualArtifact):
        return ["top_k"]
    answer = artifact.vector.answer
    taken: list[Literal["mask", "threshold", "top_k"]] = ["mask"] if answer.refine == "hole" else []
    return taken if answer.threshold is None else [*taken, "threshold"]


def _metric(text: str | None) -> Any:
    return json.loads(text) if text else None
