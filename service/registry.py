"""Installed tasks, and which of them lie in the bank right now."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from artifacts.artifact import Artifact
from artifacts.errors import ArtifactError
from artifacts.store import Store
from engine.errors import BankFull, ModelMismatch
from engine.runtime import Engine
from engine.slots import SlotTable
from engine.task_vector import TaskVector
from service.errors import QueueFull, UnknownTask
from service.schemas import TaskInfo

log: Final = logging.getLogger("vtv.registry")


class TaskRegistry:
    """Task names to artifacts, artifacts to bank slots. Belongs to the event loop."""

    def __init__(self, artifacts: dict[str, Artifact], capacity: int) -> None:
        """`capacity` counts the bank's rows, the no-op's included."""
        self.slots: Final = SlotTable(capacity)
        self._artifacts = artifacts

    def names(self) -> list[str]:
        return sorted(self._artifacts)

    def artifact(self, task: str) -> Artifact:
        """Raises UnknownTask, which lists the installed ones."""
        try:
            return self._artifacts[task]
        except KeyError:
            raise UnknownTask(self.names()) from None

    @contextmanager
    def pinned(self, artifact: Artifact, write: Callable[[int, TaskVector], None]) -> Iterator[int]:
        """A bank slot that holds `artifact` for as long as the context lasts.

        Where the slot has to be written first, `write` is called before it is given out. Raises QueueFull
        when requests in flight pin every slot.
        """
        try:
            slot, missing = self.slots.acquire(artifact.hash)
        except BankFull:
            raise QueueFull from None
        try:
            if missing:
                write(slot, artifact.vector)
            yield slot
        finally:
            self.slots.release(slot)

    def info(self, task: str) -> TaskInfo:
        artifact = self.artifact(task)
        return TaskInfo(
            name=task,
            description=artifact.description,
            artifact=artifact.hash,
            metric=_metric(artifact.metadata.get("metric")),
            created=artifact.metadata.get("created"),
        )


def load_artifacts(store: Store, engine: Engine) -> dict[str, Artifact]:
    """Every task of the store that fits the model; the others are named in the log and left out."""
    fitting: dict[str, Artifact] = {}
    for name in store.names():
        try:
            artifact = store.read(name, engine.fingerprint)
            artifact.vector.check(
                engine.model.config.mae, engine.model.program("zero_shot"), engine.fingerprint
            )
            fitting[name] = artifact
        except (ArtifactError, ModelMismatch) as error:
            log.error("task %s is left out: %s", name, error)
    if not fitting:
        log.warning("the store holds no task for this model; only one-shot requests can be answered")
    return fitting


def _metric(text: str | None) -> Any:
    return json.loads(text) if text else None
