"""What travels from an admitted request to the engine and back."""

import asyncio
from dataclasses import dataclass

from engine.geometry import Pixels
from engine.program import EngineProgram
from engine.runner import Row
from service.errors import ServiceError


@dataclass(slots=True, eq=False)
class Ticket:
    """An admitted request."""

    images: int
    client: str = ""
    """Whose turn its jobs wait for."""


@dataclass(slots=True, eq=False)
class Job:
    """One image on its way through the engine. Times are time.monotonic() seconds."""

    ticket: Ticket
    program: EngineProgram
    pixels: Pixels
    """uint8 [112, 112, 3], [224, 224, 3] for one_shot, for classify [size, size, 3] as the image tower takes it."""
    slot: int
    task: str
    deadline: float
    queued_at: float = 0.0
    launched_at: float | None = None
    started_at: float = 0.0
    """When the engine began with its batch: one may be launched behind another."""
    finished_at: float = 0.0
    answer: Row | None = None
    """uint8 [111, 111, 3]; for classify scores float32 [C]."""
    error: type[ServiceError] | None = None
    """What to raise in place of an answer. A type, as an error that was raised would hold on to the job."""
    done: asyncio.Future[None] | None = None
    """Whoever waits for `answer` or `error`, on the event loop."""
