"""What computes pieces."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

R = TypeVar("R")
ROWS: Final = {"cpu": 32, "cuda": 64}
"""Of a search's piece, by the kind of device: as few as cost it next to nothing, so that many workers have a part."""


class Pieces(Protocol):
    """Computes pieces of work with the frozen model.

    What is a piece does not depend on who computes it, and what pieces give is put together in their order. So the
    result is the same bit for bit, however many compute, on devices of one kind with as many threads.
    """

    rows: int
    """A search's piece has this many."""
    at_once: int
    """So many pieces keep everyone busy."""
    elsewhere: bool
    """Whether this process only waits meanwhile, and may do so for several tasks at once."""

    def map(self, work: Callable[..., R], shared: Sequence[Any], pieces: Sequence[Any]) -> list[R]:
        """`work(model, *shared, piece)` for each piece, in order. `work` is a module's function, and what it gives lies
        on the CPU. An object of `shared` must not change once it was given: it may have been sent before."""

    def stop(self) -> None:
        """End every `map`, in whatever thread, with KeyboardInterrupt."""
