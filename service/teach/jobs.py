"""The teach jobs of this server: one is done at a time, the others wait."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from service.errors import QueueFull, ServiceError, UnknownJob
from service.tasks.task_info import TaskInfo
from service.teach.job import End, JobInfo, Lesson
from service.teach.process import LessonFailed, Teacher, learn, write_lesson
from service.telemetry.metrics import Metrics

log: Final = logging.getLogger("vtv.teach")
_REMEMBERED: Final = 100
"""Jobs that are over and can still be asked for."""

Install = Callable[[str, bytes], Awaitable[tuple[TaskInfo, bool]]]


class TeachJobs:
    """Belongs to the event loop. Jobs are kept in memory: a server that ends cancels those it has."""

    def __init__(self, teacher: Teacher, install: Install, limit: int, metrics: Metrics) -> None:
        """`install` publishes an artifact's file under a task's name. `limit`: jobs not yet over, at most."""
        self._teacher, self._install = teacher, install
        self._limit, self._metrics = limit, metrics
        self._jobs: dict[str, JobInfo] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(1)

    def submit(self, lesson: Lesson) -> JobInfo:
        """Take a lesson. Raises QueueFull."""
        if len(self._running) >= self._limit:
            raise QueueFull("The server has as many teach jobs in hand as it accepts. Try again when one is over.")
        job = JobInfo(id=secrets.token_hex(8), task=lesson.task, created=datetime.now(UTC))
        self._jobs[job.id] = job
        self._running[job.id] = asyncio.create_task(self._run(job, lesson))
        self._forget_old()
        self._metrics.jobs(len(self._running))
        return job

    def all(self) -> list[JobInfo]:
        """Every job that is remembered, oldest first."""
        return list(self._jobs.values())

    def get(self, job_id: str) -> JobInfo:
        """Raises UnknownJob."""
        if (job := self._jobs.get(job_id)) is None:
            raise UnknownJob
        return job

    async def cancel(self, job_id: str) -> None:
        """Stop a job, or forget one that is over. Raises UnknownJob."""
        job = self.get(job_id)
        if (task := self._running.get(job_id)) is None:
            del self._jobs[job_id]
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if not job.ended:  # it was cancelled before it had begun to run
            self._over(job, "cancelled")

    async def stop(self) -> None:
        """Cancel what is not over."""
        for job_id in list(self._running):
            await self.cancel(job_id)

    async def _run(self, job: JobInfo, lesson: Lesson) -> None:
        try:
            async with self._turn:
                job.begin()
                await self._teach(job, lesson)
            self._over(job, "done")
        except LessonFailed as failed:
            job.metric = failed.metric
            self._over(job, "failed", str(failed))
        except ServiceError as error:
            self._over(job, "failed", error.detail)
        except asyncio.CancelledError:
            self._over(job, "cancelled")
        except Exception:
            log.exception("job %s failed", job.id)
            self._over(job, "failed", ServiceError.detail)

    async def _teach(self, job: JobInfo, lesson: Lesson) -> None:
        def tell(stage: str, progress: float) -> None:
            job.stage, job.progress = stage, progress

        with TemporaryDirectory(prefix="vtv-teach-") as name:
            folder = Path(name)
            await asyncio.to_thread(write_lesson, lesson, folder)
            content, job.metric = await learn(lesson, folder, self._teacher, tell)
        task, _ = await self._install(lesson.task, content)
        job.artifact = task.artifact

    def _over(self, job: JobInfo, state: End, error: str | None = None) -> None:
        job.end(state, error)
        self._running.pop(job.id, None)
        self._metrics.jobs(len(self._running), ended=state)
        log.info("job %s: %s %s%s", job.id, job.task, state, f": {error}" if error else "")

    def _forget_old(self) -> None:
        over = [job_id for job_id, job in self._jobs.items() if job.ended]
        for job_id in over[: max(0, len(over) - _REMEMBERED)]:
            del self._jobs[job_id]
