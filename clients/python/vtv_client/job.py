"""What the server is working at."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Job:
    """A teach job, as it was when it was asked for."""

    id: str
    task: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    stage: str | None
    """What it does, or did when it ended."""
    progress: float
    """0 to 1; its stages count alike."""
    error: str | None
    """Why it failed."""
    artifact: str | None
    """SHA-256 of the installed task vector's file, once it is done."""
    metric: Any
    """How the vector does, beside what needs no teaching, as JSON; None where there is none yet."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")
