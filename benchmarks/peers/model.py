"""The model that every peer serves. A peer's process makes it with `load_model`.

It takes one task at a time, as models do: a batch of several tasks is computed task by task.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.peers.accelerator import MAX_BATCH, Accelerator
from benchmarks.peers.answers import TASKS, painted
from engine.geometry import Pixels

if TYPE_CHECKING:
    from engine.runtime import Engine
    from engine.task_vector import TaskVector

VARIABLE: Final = "PEERS_BENCHMARK_MODEL"
"""`simulated LOCKFILE`, or `real MODEL STORE`: paths separated by the system's path separator."""

_ENGINE: Final = Lock()
"""An engine is one thread's at a time, and some servers call from several."""


class Model(ABC):
    """Pictures uint8 [112, 112, 3] in, answers of the same shape out."""

    max_batch: int

    def answers(self, pictures: Sequence[Pixels], tasks: Sequence[str]) -> list[Pixels]:
        """Any number of rows, each with its task."""
        rows_of: dict[str, list[int]] = {}
        for row, task in enumerate(tasks):
            rows_of.setdefault(task, []).append(row)
        answers: dict[int, Pixels] = {}
        for task, rows in rows_of.items():
            for start in range(0, len(rows), self.max_batch):
                batch = rows[start : start + self.max_batch]
                computed = self.compute(np.stack([pictures[row] for row in batch]), task)
                answers.update(zip(batch, computed, strict=True))
        return [answers[row] for row in range(len(pictures))]

    @abstractmethod
    def compute(self, pictures: Pixels, task: str) -> Pixels:
        """One batch of one task, at most `max_batch` rows."""

    def finished(self, answer: Pixels, picture: Pixels, task: str) -> Pixels:
        """What is left to do to one answer on the processor."""
        return answer


class SimulatedModel(Model):
    """The simulated accelerator."""

    max_batch = MAX_BATCH

    def __init__(self, lock_file: Path) -> None:
        self._lock_file = lock_file

    @cached_property
    def _accelerator(self) -> Accelerator:
        return Accelerator(self._lock_file)

    def compute(self, pictures: Pixels, task: str) -> Pixels:
        self._accelerator.compute(len(pictures))
        return painted(pictures, [TASKS.index(task)] * len(pictures))


class RealModel(Model):
    """The product's own engine and vectors."""

    def __init__(self, model: Path, store: Path) -> None:
        self._model, self._store = model, store

    def load(self) -> None:
        """Load the engine; until then answers can only be finished."""
        self.max_batch = self._engine.max_batch

    @cached_property
    def _vectors(self) -> "dict[str, TaskVector]":
        from artifacts.store.open import open_store

        return {artifact.task: artifact.vector for artifact in open_store(self._store).painted()}

    @cached_property
    def _engine(self) -> "Engine":
        from engine.runtime import Engine

        engine = Engine.load(self._model)
        for slot, name in enumerate(sorted(self._vectors), start=1):
            engine.write_slot(slot, self._vectors[name])
        engine.warm_up()
        return engine

    def compute(self, pictures: Pixels, task: str) -> Pixels:
        import cv2

        geometry = self._engine.geometry
        size = (geometry.cell, geometry.cell)
        cells = np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) for picture in pictures])
        slot = 1 + sorted(self._vectors).index(task)
        tiles = geometry.query_tile(cells.astype(np.uint8))
        with _ENGINE:
            return self._engine.zero_shot(tiles, [slot] * len(pictures))

    def finished(self, answer: Pixels, picture: Pixels, task: str) -> Pixels:
        from engine.refine_picture import refine

        return refine(answer, picture, self._vectors[task].answer)


def load_model(computes: bool = True) -> Model:
    """As the environment says; ready to compute, unless it is only to finish answers."""
    kind, _, rest = os.environ[VARIABLE].partition(" ")
    paths = [Path(path) for path in rest.split(os.pathsep)]
    if kind == "simulated":
        return SimulatedModel(*paths)
    model = RealModel(*paths)
    if computes:
        model.load()
    return model
