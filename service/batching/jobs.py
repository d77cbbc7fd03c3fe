"""What travels from an admitted request to the engine and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError

Program = Literal["zero_shot", "one_shot"]
Pixels = NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Ticket:
    """An admitted request. Once closed, none of its jobs is launched."""

    images: int
    client: str = ""
    """Whose turn its jobs wait for."""
    closed: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """One image on its way through the engine. Times are time.monotonic() seconds."""

    ticket: Ticket
    program: Program
    pixels: Pixels
    """uint8 [112, 112, 3], or [224, 224, 3] for one_shot."""
    slot: int
    task: str
    deadline: float
    finish: Callable[["Job"], None]
    """For whoever `deliver` hands the job to: what to do once `answer` or `error` is set."""
    queued_at: float = 0.0
    launched_at: float | None = None
    began_at: float = 0.0
    """When the engine began with its batch: one may be launched behind another."""
    landed_at: float = 0.0
    answer: Pixels | None = None
    """uint8 [111, 111, 3]."""
    error: ServiceError | None = None
