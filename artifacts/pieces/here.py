"""Pieces in this process, or dealt out to those that torchrun started."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from artifacts import workers
from artifacts.pieces.protocol import ROWS
from engine.model import MaeVqgan

R = TypeVar("R")


class Here:
    """With a model that is on this process's device."""

    elsewhere = False

    def __init__(self, model: MaeVqgan) -> None:
        self._model = model
        self.rows = ROWS[model.vae.codebook.device.type]
        self.at_once = workers.size()

    def map(self, work: Callable[..., R], shared: Sequence[Any], pieces: Sequence[Any]) -> list[R]:
        """One after the other; of several processes each has its share of them, and all get all."""
        own = [work(self._model, *shared, piece) for piece in pieces[workers.rank() :: workers.size()]]
        return workers.dealt(own, len(pieces))

    def stop(self) -> None:
        """Nothing to do: there is one thread, which is interrupted itself."""
