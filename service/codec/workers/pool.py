"""The server's side of the codec's processes.

Decoding and encoding in threads of the server's own process would take turns with the event loop for the
interpreter's lock at every step: on two cores that costs half of the throughput.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.geometry import Geometry
from service.codec.codec import Answer, Codec, Order, Prepared
from service.codec.images import Pixels
from service.codec.in_process import Here
from service.codec.workers.messages import Begin
from service.codec.workers.process import CodecProcess, Errand, ForkServer
from service.errors import ServiceError

log: Final = logging.getLogger("vtv.codec")
_AHEAD: Final = 8
"""Pictures that a process has before it: enough that it never waits, few enough that none waits long behind one that
takes long."""
_LARGE_BYTES: Final = 1 << 20
_TRIES: Final = 2
_PAUSE_SECONDS: Final = 1.0


class CodecPool:
    """Some processes, and one more for what is large: large files, which would hold others up, and large answers, which
    take so much memory that they wait for each other.

    Belongs to the event loop. A process that dies, as an image library may on a file made for that, is replaced; the
    pictures that it had in hand are tried once more, by another.
    """

    def __init__(
        self, processes: int, geometry: Geometry, max_pixels: int, on_death: Callable[[], None], niceness: int = 0
    ) -> None:
        """`on_death` is called whenever a process has died; `niceness` is added to this process's own."""
        self._begin = Begin(geometry.image_size, geometry.patch_size, max_pixels)
        self._here = Here(Codec(geometry, max_pixels))
        self._size = processes
        self._processes: list[CodecProcess] = []
        self._large: CodecProcess | None = None
        self._small = _Line()
        self._big = _Line()
        self._fork_server = ForkServer(niceness)
        self._on_death = on_death
        self._numbers = 0
        self._replacing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Returns when every process is ready. Raises OSError."""
        await asyncio.gather(self._add(large=True), *(self._add(large=False) for _ in range(self._size)))

    def stop(self) -> None:
        """What is under way is not finished."""
        for task in self._replacing:
            task.cancel()
        for process in [*self._processes, self._large]:
            if process is not None:
                process.close()
        self._fork_server.close()

    def prepare(
        self,
        order: Order,
        prepared: Callable[[Prepared], None],
        failed: Callable[[ServiceError], None],
        alone: bool = False,
    ) -> Errand:
        """Decode a picture as soon as a process has time for it; here and now where that is less work.

        Who is `alone` waits for every process that has to be woken: this one does what it may.
        """
        errand = Errand(order, prepared, failed, alone)
        if self._here.takes(order, alone):
            self._here.prepare(errand)
            return errand
        self._line(errand).to_prepare.append(errand)
        self._send_waiting()
        return errand

    def finish(self, errand: Errand, answer: Pixels, finished: Callable[[Answer], None]) -> None:
        """Refine and encode the answer, uint8 [cell, cell, 3], to a prepared picture."""
        errand.finished = finished
        if errand.here is not None:
            self._here.finish(errand, answer)
            return
        errand.answer = answer
        if errand.home is not None and errand.home.alive:
            errand.home.finish(errand, answer)
        else:
            self._line(errand).to_paint.append(errand)
            self._send_waiting()

    def give_up(self, errand: Errand) -> None:
        """Nothing more is wanted of a picture."""
        errand.given_up = True
        if errand.home is not None:
            errand.home.forget(errand)

    def _line(self, errand: Errand) -> "_Line":
        return self._big if errand.paints_large or _is_large(errand.order) else self._small

    def _send_waiting(self) -> None:
        self._send(self._small, self._processes)
        self._send(self._big, [self._large] if self._large else [])

    def _send(self, line: "_Line", processes: Sequence[CodecProcess]) -> None:
        while line.to_paint and processes:
            errand = line.to_paint.popleft()
            if not errand.given_up and errand.answer is not None:
                min(processes, key=CodecProcess.pictures).finish(errand, errand.answer)
        while line.to_prepare and processes:
            process = min(processes, key=CodecProcess.pictures)
            if process.pictures() >= _AHEAD:
                return
            errand = line.to_prepare.popleft()
            if not errand.given_up:
                self._numbers += 1
                process.prepare(errand, self._numbers)

    async def _add(self, large: bool) -> None:
        """Raises OSError."""
        process = CodecProcess(self._send_waiting, self._died)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._fork_server.fork(theirs)
            await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
            await process.begin(self._begin)
            # It may have died between its last word and this line.
            if not process.alive:
                raise ConnectionError("a codec process ended as it became ready")
        except BaseException:
            process.close()
            ours.close()
            raise
        if large:
            self._large = process
        else:
            self._processes.append(process)
        self._send_waiting()

    def _died(self, process: CodecProcess, preparing: Sequence[Errand], finishing: Sequence[Errand]) -> None:
        large = process is self._large
        if large:
            self._large = None
        elif process in self._processes:
            self._processes.remove(process)
        else:
            return  # `_add` sees it
        log.error("a codec process died; another takes its place")
        self._on_death()
        for errand in preparing:
            self._try_again(errand, self._line(errand).to_prepare)
        for errand in finishing:
            self._try_again(errand, self._line(errand).to_paint)
        self._send_waiting()
        task = asyncio.get_running_loop().create_task(self._replace(large))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    @staticmethod
    def _try_again(errand: Errand, line: deque[Errand]) -> None:
        if errand.tries < _TRIES:
            errand.tries += 1
            line.append(errand)
        else:
            errand.failed(ServiceError())

    async def _replace(self, large: bool) -> None:
        while True:
            try:
                return await self._add(large)
            except OSError:
                log.exception("a codec process could not be started; trying again")
                await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(slots=True)
class _Line:
    """Who waits for a process."""

    to_prepare: deque[Errand] = field(default_factory=deque)
    to_paint: deque[Errand] = field(default_factory=deque)
    """Those with an answer whose picture is kept nowhere, or was in a process that died."""


def _is_large(order: Order) -> bool:
    sources = (order.source, *(order.example or ()))
    return sum(len(source) if isinstance(source, bytes) else source.nbytes for source in sources) > _LARGE_BYTES
