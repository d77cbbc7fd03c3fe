"""What can be asked for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """An installed task."""

    name: str
    description: str
    artifact: str
    """SHA-256 of the task vector's file."""
    metric: Any
    """What was measured on validation episodes when the vector was made, as JSON; None where nothing was."""
    created: str | None
    """When the vector was made, ISO 8601."""
