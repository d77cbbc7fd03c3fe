"""What the server says of a picture: which class it shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredClass:
    """A class and how likely the server holds it to be, from 0 to 1; all classes of a task add up to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The classes of one image, best first."""

    classes: tuple[ScoredClass, ...]
    """As many as were asked for."""
    artifact: str
    """SHA-256 of the task's file."""
    request_id: str
    """Stands in the server's log too."""
    timing_ms: dict[str, float]
    """The server's time by stage: `queue`, `decode`, `compute`, `encode`."""

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.classes[0].label
