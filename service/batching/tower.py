"""The image tower of a running engine: loaded when the first classification task needs it, never before."""

import logging
import threading
from typing import Final
from weakref import ref

from engine.runner import Progress
from engine.tower_plan import TowerPlan
from service.batching.engine import BuiltEngine

log: Final = logging.getLogger("vtv.tower")


class TowerLoader:
    """Gives engines their tower. Safe to call from any thread; building takes seconds, or minutes with a compiler."""

    def __init__(self, plan: TowerPlan) -> None:
        self._plan: Final = plan
        self._needed = False
        self._engine: ref[BuiltEngine] | None = None
        self._building = threading.Lock()

    def need(self) -> None:
        """Return when the engine that serves can classify. Raises EngineError where it cannot be made to.

        Where there is no engine yet, or another is on its way, that one will have its tower before it serves.
        """
        with self._building:
            self._needed = True
            engine = self._engine() if self._engine else None
            if engine is not None and engine.classifier is None:
                log.info("the first classification task is here: loading the image tower")
                self._attach(engine, log.info)

    def fit_out(self, engine: BuiltEngine, progress: Progress) -> None:
        """Give a new engine its tower, where one is needed; `progress` is told. Raises EngineError."""
        with self._building:
            # Held by nobody here: one that fails has to be gone before the next is built.
            self._engine = ref(engine)
            if self._needed:
                self._attach(engine, progress)

    def _attach(self, engine: BuiltEngine, progress: Progress) -> None:
        classifier = self._plan.build(progress)
        classifier.warm_up()
        engine.classifier = classifier
