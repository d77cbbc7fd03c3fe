"""What clients are told about a task."""

import json
from typing import Any

from pydantic import BaseModel, Field

from artifacts.store.artifact import Artifact


class TaskInfo(BaseModel):
    name: str
    description: str
    artifact: str = Field(description="SHA-256 of the task vector's file.")
    metric: Any = Field(description="What was measured on validation episodes when the vector was made.")
    created: str | None = Field(description="When the vector was made, ISO 8601.")


def describe(artifact: Artifact) -> TaskInfo:
    """What an artifact's metadata say. Raises ValueError where they are not understood."""
    return TaskInfo(
        name=artifact.task,
        description=artifact.description,
        artifact=artifact.hash,
        metric=_metric(artifact.metadata.get("metric")),
        created=artifact.metadata.get("created"),
    )


def _metric(text: str | None) -> Any:
    return json.loads(text) if text else None
