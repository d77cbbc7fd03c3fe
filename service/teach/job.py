"""One teach job, as it is asked for and as clients see it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

End = Literal["done", "failed", "cancelled"]
State = Literal["queued", "running"] | End


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be taught: picture files as they were sent, inputs with outputs or with labels in the same order."""

    task: str
    inputs: list[bytes]
    outputs: list[bytes]
    force: bool
    """Install the task even if it is no better than what needs no teaching."""
    labels: tuple[str, ...] = ()
    """The class of each input, where the task is to tell classes apart: then there are no outputs."""


class JobInfo(BaseModel):
    """A job's state, progress and result."""

    id: str
    task: str
    state: State = "queued"
    stage: str | None = Field(default=None, description="What it does, or did when it ended, as `vtv teach` says it.")
    progress: float = Field(default=0.0, description="0 to 1; its stages count alike.")
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    error: str | None = Field(default=None, description="Why it failed.")
    artifact: str | None = Field(default=None, description="SHA-256 of the installed artifact's file.")
    metric: dict[str, Any] | None = Field(default=None, description="How the task does, and what needs no teaching.")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")

    def begin(self) -> None:
        """It is its turn."""
        self.state, self.started = "running", datetime.now(UTC)

    def end(self, state: End, error: str | None = None) -> None:
        """Nothing more happens to it."""
        self.state, self.error, self.finished = state, error, datetime.now(UTC)
        if state == "done":
            self.progress = 1.0
