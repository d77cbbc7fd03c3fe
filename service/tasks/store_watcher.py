"""Keeps the registry's tasks equal to the store's while the service runs.

The store is looked at twice a second on a thread; nothing is read that did not change. What is refused
is logged and counted once, and what the name meant before keeps being served.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from artifacts.errors import ArtifactError
from artifacts.store.artifact import Artifact, load_artifact
from artifacts.store.folder import Store
from engine.errors import ModelMismatch
from engine.task_vector import TaskVector
from service.errors import InvalidRequest, ServiceError, UnknownTask
from service.tasks.registry import TaskRegistry
from service.tasks.task_info import TaskInfo, describe
from service.telemetry.metrics import Metrics

log: Final = logging.getLogger("vtv.tasks")
_PERIOD_SECONDS: Final = 0.5
_NOT_AN_ARTIFACT: Final = "The body is not a valid artifact file. The log says what is wrong with it."
_OTHER_MODEL: Final = "The artifact was made for another model or program: build it again for this one."
_OTHER_NAME: Final = "The artifact is of another task than the one in the address."
_STORE_FAILED: Final = "The store could not be changed. The failure has been logged."


@dataclass(frozen=True, slots=True)
class Mark:
    """What a task's name meant when it was looked at; the same mark need not be read again."""

    hash: str
    blob_changed: int
    """Nanoseconds, 0 where there is no blob: one that arrives late, or is mended, is a change."""


@dataclass(slots=True)
class Findings:
    """What a look at the store brought."""

    marks: dict[str, Mark]
    loaded: dict[str, Artifact] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class StoreWatcher:
    """A store and the registry that serves it. Belongs to the event loop, which never waits for a file."""

    def __init__(
        self, store: Store, registry: TaskRegistry, check: Callable[[TaskVector], None], metrics: Metrics
    ) -> None:
        """`check` raises ModelMismatch for a vector that the engine cannot run."""
        self._store = store
        self._registry = registry
        self._check = check
        self._metrics = metrics
        self._marks: dict[str, Mark] = {}
        self._strays: list[str] = []
        self._was_there = False
        self._changing = asyncio.Lock()

    def load(self) -> None:
        """Take up what the store holds, before there is an event loop to hold up."""
        self._apply(self._look())
        if not self._registry.names():
            log.warning("the store holds no task for this model; only one-shot requests can be answered")

    async def watch(self) -> None:
        """Follow the store until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            try:
                await self.sync()
            except Exception:
                log.exception("the store could not be followed")

    async def sync(self) -> None:
        """Take up what has changed in the store."""
        async with self._changing:
            self._apply(await asyncio.to_thread(self._look))

    async def install(self, name: str, content: bytes) -> tuple[TaskInfo, bool]:
        """Publish an artifact file under `name` and serve it. The task, and whether it is new.

        Raises InvalidRequest for a file that is none, or that belongs to another task or model.
        """
        async with self._changing:
            artifact = await asyncio.to_thread(self._publish, name, content)
            new = name not in self._registry.names()
            self._registry.install(artifact)
        log.info("task %s: %s installed", name, artifact.hash[:12])
        return describe(artifact), new

    async def retire(self, name: str) -> None:
        """Take a task out of the store and of service. Raises UnknownTask."""
        async with self._changing:
            if not await asyncio.to_thread(self._retire, name) and name not in self._registry.names():
                raise UnknownTask(self._registry.names())
            self._registry.remove(name)
        log.info("task %s: retired", name)

    def _look(self) -> Findings | None:
        """What differs from the last look; None where nothing does, or the store cannot be seen."""
        try:
            if not self._store.tasks.is_dir():
                return None
            marks = {name: self._mark(name) for name in self._store.names()}
            self._name_strays()
        except OSError as error:
            log.debug("the store cannot be listed: %s", error)
            return None
        self._was_there = True
        if marks == self._marks:
            return None
        findings = Findings(marks)
        for name, mark in marks.items():
            if self._marks.get(name) != mark:
                try:
                    findings.loaded[name] = self._read(name)
                except Exception as error:  # whatever a hostile file provokes, the service goes on
                    findings.refused[name] = str(error) or type(error).__name__
        return findings

    def _name_strays(self) -> None:
        strays = self._store.strays()
        for stray in set(strays) - set(self._strays):
            log.warning("%r in the store is no task: it is passed over", stray)
        self._strays = strays

    def _mark(self, name: str) -> Mark:
        try:
            digest = self._store.hash_of(name)
            return Mark(digest, self._store.path_of(digest).stat().st_mtime_ns)
        except (ArtifactError, OSError):
            return Mark("", 0)

    def _read(self, name: str) -> Artifact:
        artifact = self._store.read(name)
        if artifact.task != name:
            raise ArtifactError(f"its artifact is of task {artifact.task}")
        self._check(artifact.vector)
        describe(artifact)
        return artifact

    def _apply(self, findings: Findings | None) -> None:
        if findings is None:
            return
        served = self._registry.names()
        for name, artifact in findings.loaded.items():
            if name not in served or self._registry.artifact(name).hash != artifact.hash:
                self._registry.install(artifact)
                log.info("task %s: %s is served", name, artifact.hash[:12])
        for name, why in findings.refused.items():
            self._metrics.artifact_refused()
            if name in served:
                log.error("task %s keeps its old artifact, the new one is refused: %s", name, why)
            else:
                log.error("task %s is left out: %s", name, why)
        for name in set(served) - findings.marks.keys():
            self._registry.remove(name)
            log.info("task %s: no longer in the store", name)
        self._marks = findings.marks

    def _publish(self, name: str, content: bytes) -> Artifact:
        try:
            # Without a name of its own: nothing of it is left behind, however the process ends.
            with TemporaryFile() as file:
                file.write(content)
                file.flush()
                path = Path(f"/dev/fd/{file.fileno()}")
                self._check_upload(name, path)
                self._check_present()
                return self._store.publish(path, make=not self._was_there)
        except OSError:
            log.exception("task %s could not be published", name)
            raise ServiceError(_STORE_FAILED) from None

    def _check_present(self) -> None:
        """A store that was there may be back in a moment: another in its place would hold nothing of what it held, nor
        is a name taken back that cannot be seen. Raises OSError."""
        if self._was_there and not self._store.tasks.is_dir():
            raise FileNotFoundError(f"the store {self._store.root} is away")

    def _check_upload(self, name: str, path: Path) -> None:
        try:
            artifact = load_artifact(path)
            describe(artifact)
            self._check(artifact.vector)
        except ModelMismatch:
            raise InvalidRequest(_OTHER_MODEL) from None
        except Exception as error:  # as in `_look`
            log.info("an uploaded artifact is refused: %s", error)
            raise InvalidRequest(_NOT_AN_ARTIFACT) from None
        if artifact.task != name:
            raise InvalidRequest(_OTHER_NAME)

    def _retire(self, name: str) -> bool:
        """False where the store holds no such task."""
        try:
            self._check_present()
            self._store.retire(name)
        except ArtifactError:
            return False
        except OSError:
            log.exception("task %s could not be retired", name)
            raise ServiceError(_STORE_FAILED) from None
        return True
