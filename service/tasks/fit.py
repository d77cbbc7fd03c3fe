"""Whether this server can serve a task, and what has to be there before it does."""

import logging
from typing import Final

from engine.classification.head import Head
from engine.errors import EngineError, ModelMismatch
from engine.task_vector import TaskVector
from service.batching.engine import ServedEngine
from service.batching.tower import TowerLoader
from service.errors import InvalidRequest, ServiceError

log: Final = logging.getLogger("vtv.tasks")
_OTHER_MODEL: Final = "The artifact was made for another model or program: build it again for this one."
_NO_TOWER: Final = "The artifact is a classification task, and this server has no image tower: set VTV_TOWER."
_OTHER_TOWER: Final = "The artifact was made for another image tower: train it again for this server's."
_OTHER_WIDTH: Final = "The artifact's class vectors are not as long as the image tower's features."
_MANY_CLASSES: Final = "The artifact has more classes than this server takes in one task: see VTV_MAX_CLASSES."
_TOWER_FAILED: Final = "The image tower could not be loaded. The failure has been logged."


class Misfit(InvalidRequest):
    """`detail` is for whoever sent the artifact; as text it says for the log what exactly differs."""

    def __init__(self, detail: str, why: str) -> None:
        super().__init__(detail)
        self._why = why

    def __str__(self) -> str:
        return self._why


class Fit:
    """What a task is checked against. Safe to call from any thread."""

    def __init__(self, plan: ServedEngine) -> None:
        self._plan: Final = plan
        self.tower: Final = TowerLoader(plan.tower) if plan.tower else None

    def check(self, content: TaskVector | Head) -> None:
        """Raises Misfit."""
        if isinstance(content, Head):
            self._check_head(content)
            return
        try:
            self._plan.check_vector(content)
        except ModelMismatch as error:
            raise Misfit(_OTHER_MODEL, str(error)) from None

    def prepare(self, content: TaskVector | Head) -> None:
        """Load what a task that fits needs; for the first classification task that takes a while.

        Raises ServiceError where it cannot be had.
        """
        if not isinstance(content, Head) or self.tower is None:
            return
        try:
            self.tower.need()
        except EngineError as error:
            log.error("the image tower cannot be loaded: %s", error)
            raise ServiceError(_TOWER_FAILED) from None

    def _check_head(self, head: Head) -> None:
        plan = self._plan.tower
        if plan is None:
            raise Misfit(_NO_TOWER, "it is a classification task, and there is no image tower")
        if head.tower != plan.about.fingerprint:
            ours = plan.about.fingerprint[:12]
            raise Misfit(_OTHER_TOWER, f"it was made for image tower {head.tower[:12]}, this server's is {ours}")
        classes, width = head.matrix.shape
        if width != plan.about.width:
            raise Misfit(_OTHER_WIDTH, f"its class vectors have {width} numbers, features have {plan.about.width}")
        if classes > plan.classes:
            raise Misfit(_MANY_CLASSES, f"it has {classes} classes, and a row of the bank has room for {plan.classes}")
