"""What can be asked for."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Task:
    """An installed task."""

    name: str
    kind: Literal["painting", "classification"]
    """Whether it answers with a picture (`infer`) or with classes (`classify`)."""
    description: str
    classes: int | None
    """How many classes it tells apart; None for what paints."""
    takes: list[str]
    """What a request may hold that not every task has a use for: `mask`, `threshold`, `top_k`."""
    artifact: str
    """SHA-256 of the task's file."""
    metric: Any
    """What was measured on validation pictures when it was made, as JSON; None where nothing was."""
    created: str | None
    """When it was made, ISO 8601."""
