"""Installed tasks, and which of them lie in the bank right now."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from engine.classification.head import Head
from engine.errors import BankFull
from engine.slots import SlotTable
from engine.task_vector import TaskVector
from service.errors import FaultyTask, QueueFull, UnknownTask
from service.tasks.installed import InstalledTask


class TaskRegistry:
    """Task names to versions, versions to bank slots, of either kind alike. Belongs to the event loop."""

    def __init__(self, capacity: int) -> None:
        """`capacity` counts the bank's rows, the no-op's included."""
        self.slots: Final = SlotTable(capacity)
        self._tasks: dict[str, InstalledTask] = {}
        self.faulty: Final[dict[str, str]] = {}
        """Tasks out of service, and the version that is."""

    def names(self) -> list[str]:
        return sorted(self._tasks)

    def has(self, name: str) -> bool:
        """Whether a task is installed."""
        return name in self._tasks

    def task(self, name: str) -> InstalledTask:
        """Raises UnknownTask, which lists the installed ones."""
        try:
            return self._tasks[name]
        except KeyError:
            raise UnknownTask(self.names()) from None

    def served(self, name: str) -> InstalledTask:
        """As `task`; raises FaultyTask where it is out of service."""
        task = self.task(name)
        if self.is_faulty(task):
            raise FaultyTask(name)
        return task

    def is_faulty(self, task: InstalledTask) -> bool:
        """Whether this version is out of service."""
        return self.faulty.get(task.name) == task.hash

    def take_out(self, task: InstalledTask) -> bool:
        """Answer with this version no more, until its name means another. Whether it meant this one."""
        own = self._tasks.get(task.name)
        if meant := own is not None and own.hash == task.hash:
            self.faulty[task.name] = task.hash
        return meant

    def classifies(self, name: str) -> bool:
        """Whether a task is installed that answers with classes."""
        return name in self._tasks and isinstance(self._tasks[name].content, Head)

    def install(self, task: InstalledTask) -> None:
        """From now on its name means `task`. Requests in flight keep what they began with."""
        self._tasks[task.name] = task
        if not self.is_faulty(task):
            self.faulty.pop(task.name, None)

    def remove(self, name: str) -> None:
        """Forget a task; requests in flight still end with it."""
        self._tasks.pop(name, None)
        self.faulty.pop(name, None)

    @contextmanager
    def pinned(self, task: InstalledTask, write: Callable[[int, TaskVector | Head], None]) -> Iterator[int]:
        """A bank slot that holds `task` for as long as the context lasts.

        Where the slot has to be written first, `write` is called before it is given out. Raises QueueFull
        when requests in flight pin every slot.
        """
        try:
            slot, missing = self.slots.acquire(task.hash)
        except BankFull:
            raise QueueFull from None
        try:
            if missing:
                write(slot, task.content)
            yield slot
        finally:
            self.slots.release(slot)
