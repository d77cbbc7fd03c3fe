"""Runs one lesson in a process of its own, which follows the server into its end."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from artifacts.data.pairs import INPUT, OUTPUT
from artifacts.pictures.formats import format_of
from engine.classification import Precision
from service.teach.job import Lesson
from service.teach.worker import ARTIFACT, LABELS

log: Final = logging.getLogger("vtv.teach")
_NO_TOWER: Final = "This server learns no classes: it has no image tower."
_DIED: Final = "The job's process ended before it was done. The log says how."


class LessonFailed(Exception):
    """The lesson gives no task; the message is for the client. `metric` is there where a vector was made."""

    def __init__(self, message: str, metric: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.metric = metric


def write_lesson(lesson: Lesson, folder: Path) -> None:
    """Write pairs as `vtv teach --examples` reads them; pictures in classes beside a list of their labels, since a
    label may be no name for a folder."""
    if lesson.labels:
        (folder / LABELS).write_text(json.dumps(lesson.labels))
    for name, files in ((INPUT, lesson.inputs), (OUTPUT, lesson.outputs)):
        (folder / name).mkdir()
        for number, content in enumerate(files, start=1):
            (folder / name / f"{number}.{format_of(content)}").write_bytes(content)


@dataclass(frozen=True, slots=True)
class Teacher:
    """What every lesson is learnt with: the served model and image tower, where the model computes, pixels of a picture
    at most; what the tower computes in, and where what was compiled of it is kept."""

    model: Path
    tower: Path | None
    device: str
    max_pixels: int
    precision: Precision
    cache: Path


async def learn(
    lesson: Lesson, folder: Path, teacher: Teacher, tell: Callable[[str, float], None]
) -> tuple[bytes, dict[str, Any]]:
    """The artifact's file and its metric. Raises LessonFailed. Cancelled, it ends the process.

    `tell` hears of stages and progress.
    """
    if lesson.labels and teacher.tower is None:
        raise LessonFailed(_NO_TOWER)
    learner = teacher.tower if lesson.labels else teacher.model
    words = [str(folder), str(learner), teacher.device, str(teacher.max_pixels), lesson.task]
    words += ["force" if lesson.force else "judge", teacher.precision, str(teacher.cache)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "service.teach.worker", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    last: dict[str, Any] = {}
    try:
        async for line in process.stdout:
            last = json.loads(line)
            if "stage" in last:
                tell(last["stage"], last["progress"])
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "artifact" in last:
        return await asyncio.to_thread((folder / ARTIFACT).read_bytes), last["metric"]
    if "error" in last:
        raise LessonFailed(last["error"], last.get("metric"))
    log.error("the process that taught %s ended with code %d", lesson.task, process.returncode)
    raise LessonFailed(_DIED)
