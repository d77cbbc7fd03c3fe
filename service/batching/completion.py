"""Waits for launched batches, in their order, so that the thread that launches never has to."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from engine.runner import Answers, Pending

BatchT = TypeVar("BatchT")


class CompletionThread(Generic[BatchT]):
    """A thread for as long as a `with` block lasts; leaving it waits for everything that was put in.

    `done` gets each batch with its answers, `failed` what the first batch raised that went wrong: nothing is
    waited for after that.
    """

    def __init__(self, done: Callable[[BatchT, Answers], None], failed: Callable[[BaseException], None]) -> None:
        self._done: Final = done
        self._failed: Final = failed
        self._batches: SimpleQueue[tuple[BatchT, Pending] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="completion", daemon=True)

    def put(self, batch: BatchT, pending: Pending) -> None:
        self._batches.put((batch, pending))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._batches.put(None)
        self._thread.join()

    def _run(self) -> None:
        while entry := self._batches.get():
            batch, pending = entry
            try:
                self._done(batch, pending.result())
            except BaseException as error:  # a thread that ends in silence would leave everybody waiting
                self._failed(error)
                return
