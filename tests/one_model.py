"""What a store watcher checks tasks against in tests: a server of one model, without an image tower."""

from engine.classification.head import Head
from engine.task_vector import TaskVector
from service.errors import InvalidRequest
from service.tasks.fit import Fit


class OneModel(Fit):
    """Takes the vectors of a model called m, and any head."""

    def __init__(self) -> None:
        self.prepared: list[TaskVector | Head] = []

    def check(self, content: TaskVector | Head) -> None:
        if isinstance(content, TaskVector) and content.model != "m":
            raise InvalidRequest("another model")

    def prepare(self, content: TaskVector | Head) -> None:
        self.prepared.append(content)
