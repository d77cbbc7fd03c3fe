"""Installed tasks, and which of them lie in the bank right now."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from artifacts.store.artifact import Artifact
from engine.errors import BankFull
from engine.slots import SlotTable
from engine.task_vector import TaskVector
from service.errors import QueueFull, UnknownTask
from service.tasks.task_info import TaskInfo, describe


class TaskRegistry:
    """Task names to artifacts, artifacts to bank slots. Belongs to the event loop."""

    def __init__(self, artifacts: dict[str, Artifact], capacity: int) -> None:
        """`capacity` counts the bank's rows, the no-op's included."""
        self.slots: Final = SlotTable(capacity)
        self._artifacts = dict(artifacts)

    def names(self) -> list[str]:
        return sorted(self._artifacts)

    def has(self, task: str) -> bool:
        """Whether a task is installed."""
        return task in self._artifacts

    def artifact(self, task: str) -> Artifact:
        """Raises UnknownTask, which lists the installed ones."""
        try:
            return self._artifacts[task]
        except KeyError:
            raise UnknownTask(self.names()) from None

    def install(self, artifact: Artifact) -> None:
        """From now on its task means `artifact`. Requests in flight keep what they began with."""
        self._artifacts[artifact.task] = artifact

    def remove(self, task: str) -> None:
        """Forget a task; requests in flight still end with it."""
        self._artifacts.pop(task, None)

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
        return describe(self.artifact(task))
