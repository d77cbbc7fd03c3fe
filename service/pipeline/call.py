"""What is asked for and what is answered, whichever way it was sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from artifacts.pictures.formats import Format
from engine.geometry import Pixels
from engine.runner import Row
from service.codec.codec import EncodedAnswer
from service.codec.spec import Refine, Size, Threshold
from service.tasks.installed import InstalledTask
from service.telemetry.timing import Timing


class Options(BaseModel):
    """How the answer is wanted; the same in every form of request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str | None = Field(None, min_length=1, max_length=200, description="Name of an installed task.")
    size: Size = Field("native", description="`native` is 112 x 112 pixels, `original` is the query's size.")
    refine: Refine = Field(
        "auto", description="`auto` does what the task's artifact says; `guided` follows the query's edges."
    )
    threshold: Threshold = Field(
        "none", description="`auto` cuts masks to black and white, where the task's artifact says; for such tasks only."
    )
    format: Format = Field("png", description="File format of the answer.")
    top_k: int = Field(
        5, ge=1, le=100_000, description="How many classes a task that answers with classes tells, best first."
    )

    def given(self, names: Iterable[str]) -> list[str]:
        """Those of some options that the request states, in this order."""
        return [name for name in names if name in self.model_fields_set]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. Image files are not decoded yet."""

    options: Options
    images: Sequence[bytes | Pixels]
    """Files, or RGB uint8 [H,W,3]."""
    example: tuple[bytes, bytes] | None = None
    """A solved pair (input, output); there is a task if and only if there is no example."""
    encoded: bool = True
    """Answers are files; else their pixels' bytes."""
    masks: Sequence[bytes | Pixels] = ()
    """White where to paint: one for each image, or none."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A call's answers as pictures, in the order of its images."""

    answers: list[EncodedAnswer]
    timing: Timing
    """Of the image that was answered last."""
    task: InstalledTask | None
    """Whose task vector was used."""

    @property
    def confidence(self) -> float | None:
        """The least of all answers'; None where it was not measured."""
        known = [answer.confidence for answer in self.answers if answer.confidence is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True)
class Classified:
    """A call's answers as classes: a row float32 [K] of softmax scores for each image, in their order."""

    scores: list[Row]
    labels: tuple[str, ...]
    """Of the K classes."""
    tower: str
    """Fingerprint of the image tower."""
    timing: Timing
    """Of the image that was answered last."""
    task: InstalledTask

    @property
    def confidence(self) -> None:
        """Nothing is measured beside the scores."""
        return None


Outcome = Painted | Classified
