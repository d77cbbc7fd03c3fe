"""Many pictures through one engine: read and decoded ahead of it, painted and encoded behind it, on threads.

The libraries that decode and encode let other threads run meanwhile, as the engine does.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np

from artifacts.errors import OfflineError, StoreAway
from artifacts.infer.files import PictureFiles
from artifacts.infer.steps import PictureSteps, Prepared
from artifacts.pictures.formats import Format
from artifacts.pictures.write import encode
from engine.geometry import Pixels
from engine.runner import Pending
from engine.runtime import Engine

SLOT = 1
"""Of the bank, where the task lies."""
_BATCHES_AHEAD = 3


class Answered(NamedTuple):
    """A picture's answer as a file, or why there is none."""

    name: str
    data: bytes
    error: str | None = None


class Answering:
    """An engine with the task in its bank, and what is done before and behind it."""

    def __init__(
        self, engine: Engine, steps: PictureSteps, files: PictureFiles, file_format: Format, threads: int
    ) -> None:
        self.engine, self.steps, self.files = engine, steps, files
        self.format, self.threads = file_format, threads
        self.ahead = _BATCHES_AHEAD * engine.max_batch

    def answer(self, names: Iterable[str]) -> Iterator[Answered]:
        """Each once, about in order. Raises StoreAway."""
        waiting = iter(names)
        pool = ThreadPoolExecutor(self.threads)
        decoding = deque(pool.submit(self._prepare, name) for name in islice(waiting, self.ahead))
        computing: deque[tuple[list[Prepared], Pending]] = deque()
        encoding: deque[Future[Answered]] = deque()
        try:
            while decoding or computing or encoding:
                batch: list[Prepared] = []
                while decoding and len(batch) < self.engine.max_batch:
                    prepared = decoding.popleft().result()
                    decoding.extend(pool.submit(self._prepare, name) for name in islice(waiting, 1))
                    if isinstance(prepared, Answered):
                        yield prepared
                    else:
                        batch.append(prepared)
                if batch:
                    computing.append((batch, self._submit(batch)))
                if computing and (len(computing) >= self.engine.in_flight or not batch):
                    done, pending = computing.popleft()
                    for prepared, answer in zip(done, pending.result(), strict=True):
                        encoding.append(pool.submit(self._finish, prepared, answer))
                while encoding and (encoding[0].done() or len(encoding) > self.ahead or not (decoding or computing)):
                    yield encoding.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _submit(self, batch: list[Prepared]) -> Pending:
        return self.engine.submit("zero_shot", np.stack([each.tile for each in batch]), [SLOT] * len(batch))

    def _prepare(self, name: str) -> Prepared | Answered:
        try:
            return self.steps.prepare(name, self.files.read(name))
        except StoreAway:
            raise  # says nothing of the picture
        except OfflineError as error:
            return Answered(name, b"", str(error))

    def _finish(self, prepared: Prepared, answer: Pixels) -> Answered:
        try:
            return Answered(prepared.name, encode(self.steps.finish(prepared, answer), self.format))
        except OfflineError as error:
            return Answered(prepared.name, b"", str(error))
