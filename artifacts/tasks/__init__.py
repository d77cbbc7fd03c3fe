"""Tasks, each a file of `definitions/` that holds one `TASK`. To add a task is to add its file."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from artifacts.tasks import definitions
from artifacts.tasks.task import Task
from artifacts.tasks.views import output, picture


def defined() -> Iterator[Task]:
    """The task of every file of `definitions/`, by name; raises ValueError where file and task differ in name."""
    for name in sorted(module.name for module in iter_modules(definitions.__path__)):
        task: Task = import_module(f"{definitions.__name__}.{name}").TASK
        if task.name != name:
            raise ValueError(f"definitions/{name}.py defines the task {task.name!r}: give both one name")
        yield task


TASKS: dict[str, Task] = {task.name: task for task in defined() if not task.parts}
COMPOSITES: dict[str, Task] = {task.name: task for task in defined() if task.parts}


def pair_task(name: str) -> Task:
    """A task that pairs of pictures define; a known task's name keeps its metric, any other is scored by `mse`."""
    known = {**TASKS, **COMPOSITES}.get(name)
    if known is not None:
        return replace(known, source=picture, target=output, recolour=False)
    return Task(name, picture, output, "mse", "A task taught by pairs of pictures.")
