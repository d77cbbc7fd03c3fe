"""Keeps the registry's tasks equal to the store's while the service runs.

The store is looked at every second or so on a thread; nothing is read that did not change. What is refused is logged
and counted once, and what the name meant before keeps being served. So is everything while the store is away, and a
task whose name is missing from it: a store that comes back empty takes nothing away. Retiring is explicit.
"""

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from artifacts.errors import ArtifactError, BlobLost, StoreAway
from artifacts.store.base import ArtifactStore, NoStoreYet, PublishedMeanwhile, RetiredTask, load_any
from service.errors import Conflict, InvalidRequest, ServiceError, UnknownTask
from service.tasks.fit import Fit
from service.tasks.installed import InstalledTask
from service.tasks.registry import TaskRegistry
from service.tasks.store_calls import StoreCalls
from service.tasks.task_info import TaskInfo
from service.telemetry.metrics import Metrics

log: Final = logging.getLogger("vtv.tasks")
_LONGEST_PAUSE_SECONDS: Final = 2.0
"""Between looks at a store that is away: it doubles up to there. A server that only its own cable kept away serves what
was replaced meanwhile for as long."""
_UNREAD_SECONDS: Final = 2.0
"""Until what could not be read is tried again."""
_NOT_AN_ARTIFACT: Final = "The body is not a valid artifact file. The log says what is wrong with it."
_UNTRUSTED: Final = "The artifact is not signed by a key that this server trusts."
_OTHER_NAME: Final = "The artifact is of another task than the one in the address."
_CHANGED_MEANWHILE: Final = "Another publisher changed this task at the same time, and its version stands."
_STORE_FAILED: Final = "The store could not be changed. The failure has been logged."


@dataclass(slots=True)
class Findings:
    """What a look at the store brought."""

    marks: dict[str, str]
    loaded: dict[str, InstalledTask] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)
    """The store did not give them; they are tried again. Empty words: it is not yet time to."""
    hidden: set[str] = field(default_factory=set)
    """Of the unread, those that the store may well give to others."""


class StoreWatcher:
    """A store and the registry that serves it. Belongs to the event loop, which never waits for a file."""

    def __init__(
        self,
        store: ArtifactStore,
        registry: TaskRegistry,
        fit: Fit,
        metrics: Metrics,
        calls: StoreCalls,
        stale_seconds: float = inf,
    ) -> None:
        """The server is stale when, for `stale_seconds`, no look began that showed all that the store holds."""
        self._store, self._stale_seconds = store, stale_seconds
        self._calls = calls
        self._registry = registry
        self._fit = fit
        self._metrics = metrics
        self._marks: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._hidden: set[str] = set()
        self._missing: set[str] = set()
        self._strays: set[str] = set()
        self._was_there = False
        self._failures = 0
        self._seen_at: float | None = None
        self._changing = asyncio.Lock()

    @property
    def waits_for(self) -> str:
        """Why what is served may not be what the store holds: it was never seen, or not for too long. Else empty."""
        if self._seen_at is None:
            return "waiting for the store"
        if time.monotonic() - self._seen_at > self._stale_seconds:
            return f"stale: the store was last seen over {self._stale_seconds:g} s ago"
        return ""

    def load(self) -> None:
        """Take up what the store holds, before there is an event loop to hold up."""
        began = time.monotonic()
        try:
            seen = self._calls.run_here(self._look)
        except StoreAway as error:
            seen = error
        self._take_up(seen, began)
        if self._seen_at is not None and not self._registry.names():
            log.warning("the store holds no task for this server; only one-shot requests can be answered")

    async def watch(self) -> None:
        """Follow the store until cancelled."""
        while True:
            await asyncio.sleep(self._pause())
            try:
                await self.sync()
            except Exception:
                log.exception("the store could not be followed")

    async def sync(self) -> None:
        """Take up what has changed in the store."""
        async with self._changing:
            began = time.monotonic()
            try:
                seen = await self._calls.run(self._look)
            except StoreAway as error:
                seen = error
            self._take_up(seen, began)

    async def install(self, name: str, content: bytes) -> tuple[TaskInfo, bool]:
        """Publish an artifact file under `name` and serve it. The task, and whether it is new.

        Raises InvalidRequest for a file that is none, or that belongs to another task, model or image tower, and
        Conflict.
        """
        async with self._changing:
            with _store_changed(name):
                task = await self._calls.run(partial(self._publish, name, content))
            new = not self._registry.has(name)
            self._registry.install(task)
        log.info("task %s: %s installed", name, task.hash[:12])
        return task.info, new

    async def retire(self, name: str) -> None:
        """Take a task out of the store and of service. Raises UnknownTask, Conflict."""
        async with self._changing:
            with _store_changed(name):
                await self._calls.run(partial(self._retire, name))
            self._remove(name)
        log.info("task %s: retired", name)

    def _look(self) -> Findings | StoreAway | None:
        """What differs from the last look; None where nothing does."""
        try:
            marks, strays = self._store.look()
            self._was_there = True
        except NoStoreYet as error:
            if self._was_there:
                return error
            marks, strays = {}, []
        except StoreAway as error:
            return error
        self._name_strays(strays)
        if marks == self._marks:
            return None
        findings, now = Findings(marks), time.monotonic()
        for name, mark in marks.items():
            if self._marks.get(name) == mark:
                continue
            self._calls.step()
            if self._retry_at.get(name, now) > now:
                findings.unread[name] = ""
                findings.hidden |= self._hidden & {name}
                continue
            try:
                findings.loaded[name] = self._read(name)
            except RetiredTask:
                findings.retired.add(name)
            except StoreAway as error:
                findings.unread[name] = str(error)
                if not isinstance(error, BlobLost):
                    findings.hidden.add(name)
            except Exception as error:  # whatever a hostile file provokes, the service goes on
                findings.refused[name] = str(error) or type(error).__name__
        return findings

    def _name_strays(self, strays: list[str]) -> None:
        for stray in set(strays) - self._strays:
            log.warning("%r in the store is no task: it is passed over", stray)
        self._strays = set(strays)

    def _read(self, name: str) -> InstalledTask:
        artifact = self._store.read_any(name)
        if artifact.task != name:
            raise ArtifactError(f"its artifact is of task {artifact.task}")
        task = InstalledTask.of(artifact)
        self._fit.check(task.content)
        self._prepare(task)
        return task

    def _prepare(self, task: InstalledTask) -> None:
        with self._calls.unhurried():  # an image tower may have to be compiled
            self._fit.prepare(task.content)

    def _take_up(self, seen: Findings | StoreAway | None, began: float) -> None:
        if isinstance(seen, StoreAway):
            self._failed(seen)
            return
        self._reached()
        if seen is not None:
            self._apply(seen)
        self._hidden = seen.hidden if seen is not None else set()
        if not self._hidden or self._seen_at is None:
            self._seen_at = began

    def _apply(self, findings: Findings) -> None:
        served = self._registry.names()
        for name, task in findings.loaded.items():
            if name not in served or self._registry.task(name).hash != task.hash:
                self._registry.install(task)
                log.info("task %s: %s is served", name, task.hash[:12])
        for name, why in findings.refused.items():
            self._metrics.artifact_refused()
            if name in served:
                log.error("task %s keeps its old artifact, the new one is refused: %s", name, why)
            else:
                log.error("task %s is left out: %s", name, why)
        for name in findings.retired & set(served):
            self._remove(name)
            log.info("task %s: retired", name)
        self._note_unread(findings.unread)
        self._note_missing(set(self._registry.names()) - findings.marks.keys())
        self._marks = {name: mark for name, mark in findings.marks.items() if name not in findings.unread}

    def _remove(self, name: str) -> None:
        self._registry.remove(name)
        self._metrics.task_retired(name)

    def _note_unread(self, unread: dict[str, str]) -> None:
        for name, why in unread.items():
            if why:
                self._metrics.store_failed()
                log.warning("task %s could not be read, and is tried again: %s", name, why)
                self._retry_at[name] = time.monotonic() + _UNREAD_SECONDS
        self._retry_at = {name: at for name, at in self._retry_at.items() if name in unread}

    def _note_missing(self, missing: set[str]) -> None:
        for name in missing - self._missing:
            log.error("task %s is missing from the store; it goes on being served until it is retired", name)
        for name in self._missing - missing:
            log.info("task %s: no longer missing from the store", name)
        self._missing = missing
        self._metrics.tasks_missing(len(missing))

    def _pause(self) -> float:
        """Seconds until the next look. Servers that lost the store together do not come back together."""
        if not self._failures:
            return self._store.period
        longest = min(self._store.period * 2.0**self._failures, _LONGEST_PAUSE_SECONDS)
        return longest * random.uniform(0.5, 1)

    def _failed(self, error: StoreAway) -> None:
        if not self._failures:
            log.error("the store is away, and what is loaded goes on being served: %s", error)
        self._failures = min(self._failures + 1, 16)
        self._metrics.store_failed()
        self._metrics.store_seen(False)

    def _reached(self) -> None:
        if self._failures:
            log.info("the store is back")
        self._failures = 0
        self._metrics.store_seen(True)

    def _publish(self, name: str, content: bytes) -> InstalledTask:
        # Without a name of its own: nothing of it is left behind, however the process ends.
        with TemporaryFile() as file:
            file.write(content)
            file.flush()
            path = Path(f"/dev/fd/{file.fileno()}")
            task = self._checked_upload(name, path)
            self._check_origin(name, content)
            self._prepare(task)
            self._calls.step()
            self._store.publish_any(path, make=not self._was_there)
            return task

    def _check_origin(self, name: str, content: bytes) -> None:
        try:
            self._store.check_origin(content, f"an uploaded artifact of task {name}")
        except ArtifactError as error:
            log.warning("%s", error)
            raise InvalidRequest(_UNTRUSTED) from None

    def _checked_upload(self, name: str, path: Path) -> InstalledTask:
        try:
            task = InstalledTask.of(load_any(path))
        except Exception as error:  # as in `_look`
            log.info("an uploaded artifact is refused: %s", _of_no_name(path, error))
            raise InvalidRequest(_NOT_AN_ARTIFACT) from None
        self._fit.check(task.content)
        if task.name != name:
            raise InvalidRequest(_OTHER_NAME)
        return task

    def _retire(self, name: str) -> None:
        try:
            self._store.retire(name, missing_ok=self._registry.has(name))
        except ArtifactError:
            raise UnknownTask(self._registry.names()) from None


def _of_no_name(path: Path, error: Exception) -> str:
    """What is wrong with a file whose name, which errors begin with, is but a descriptor's number."""
    why = str(error).removeprefix(f"{path.name}: ")
    return f"it{why.removeprefix(path.name)}" if why.startswith(f"{path.name} ") else why


@contextmanager
def _store_changed(name: str) -> Iterator[None]:
    """What goes wrong while a task is published or retired, in this service's words."""
    try:
        yield
    except PublishedMeanwhile as error:
        log.warning("%s", error)
        raise Conflict(_CHANGED_MEANWHILE) from None
    except (OSError, StoreAway):
        log.exception("the store could not be changed: task %s", name)
        raise ServiceError(_STORE_FAILED) from None
