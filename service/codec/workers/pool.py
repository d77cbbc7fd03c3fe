"""The server's side of the codec's processes.

Decoding and encoding in threads of the server's own process would take turns with the event loop for the
interpreter's lock at every step: on two cores that costs half of the throughput.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from artifacts.pictures.limits import PictureLimits
from engine.geometry import Geometry, Pixels
from service.codec.codec import Codec, Decoded, EncodedAnswer
from service.codec.cost import cost_of, is_large
from service.codec.in_process import InProcessCodec
from service.codec.workers.fork_server import ForkServer
from service.codec.workers.messages import DecodeDone, EncodeDone, Failed, Refused, Start, StepReply
from service.codec.workers.overdue import end_overdue
from service.codec.workers.process import CodecJob, CodecProcess
from service.errors import ServiceError
from service.fair_queue import FairQueue

log: Final = logging.getLogger("vtv.codec")
_AHEAD, _AHEAD_CROWDED = 8, 3
"""Units of cost that a process has before it: enough that it never waits, and where one asks little beside
others so few that whose turn it is is decided late."""
_TRIES: Final = 2
_PAUSE_SECONDS: Final = 1.0
_START_SECONDS: Final = 10.0
"""In which a process is ready that is forked; where it is not, the fork server does not work."""


class CodecPool:
    """Some processes, and one more for what is large: large files, which would hold others up, and large answers, which
    take so much memory that they wait for each other. Clients take turns.

    Belongs to the event loop. A process that dies, as an image library may on a file made for that, is replaced; the
    pictures that it had in hand are tried once more, by another.
    """

    def __init__(
        self,
        processes: int,
        geometry: Geometry,
        limits: PictureLimits,
        on_death: Callable[[], None],
        niceness: int = 0,
        picture_seconds: float = 20.0,
        fork_server: ForkServer | None = None,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """`on_death` is called whenever a process has died; `niceness` is added to this process's own. A process that
        says nothing for `picture_seconds` over a picture is killed. `fork_server` may have been started before;
        `crowded` tells whether several clients ask, and one of them little."""
        self._start = Start(geometry.image_size, geometry.patch_size, limits)
        self._in_process = InProcessCodec(Codec(geometry, limits))
        self._size = processes
        self._processes: list[CodecProcess] = []
        self._large_process: CodecProcess | None = None
        self._small = _Waiting()
        self._large = _Waiting()
        self._fork_server, self._niceness = fork_server or ForkServer(), niceness
        self._on_death, self._crowded = on_death, crowded
        self._numbers = 0
        self._replacing: set[asyncio.Task[None]] = set()
        self._picture_seconds = picture_seconds
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when every process is ready. Raises OSError."""
        await asyncio.gather(self._add(large=True), *(self._add(large=False) for _ in range(self._size)))
        self._watch = asyncio.get_running_loop().create_task(end_overdue(self._all, self._picture_seconds))

    def stop(self) -> None:
        """What is under way is not finished."""
        for task in self._replacing:
            task.cancel()
        if self._watch is not None:
            self._watch.cancel()
        for process in self._all():
            process.close()
        self._fork_server.close()

    async def decode(self, job: CodecJob) -> Decoded:
        """Decode a picture as soon as a process has time for it; here and now where that is less work.

        Who is `alone` waits for every process that has to be woken: this one does what it may. Raises InvalidImage,
        UnsupportedMedia or ServiceError. Until the job is finished, or forgotten, some process keeps its picture.
        """
        if self._in_process.takes(job.spec, job.alone):
            job.decoded = self._in_process.decode(job.spec)
            return job.decoded
        reply = job.expect()
        job.cost = cost_of(job.spec)
        self._queue_of(job).to_decode.push(job)
        self._send_waiting()
        done = _checked(await reply)
        assert isinstance(done, DecodeDone)
        return done.decoded

    async def encode(self, job: CodecJob, answer: Pixels) -> EncodedAnswer:
        """Refine and encode the answer, uint8 [cell, cell, 3], to a decoded picture. Raises ServiceError."""
        if job.decoded is not None:
            return self._in_process.encode(answer, job.spec, job.decoded)
        job.answer = answer
        reply = job.expect()
        if job.process is not None and job.process.alive:
            job.process.encode(job, answer)
        else:
            self._queue_of(job).to_encode.push(job)
            self._send_waiting()
        done = _checked(await reply)
        assert isinstance(done, EncodeDone)
        return done.answer

    @staticmethod
    def forget(job: CodecJob) -> None:
        """Nothing more is wanted of a picture."""
        if job.process is not None:
            job.process.forget(job)

    def _all(self) -> list[CodecProcess]:
        return [*self._processes, *([self._large_process] if self._large_process else [])]

    def _queue_of(self, job: CodecJob) -> "_Waiting":
        return self._large if job.large or is_large(job.spec, job.cost) else self._small

    def _send_waiting(self) -> None:
        self._send(self._small, self._processes)
        self._send(self._large, [self._large_process] if self._large_process else [])

    def _send(self, waiting: "_Waiting", processes: Sequence[CodecProcess]) -> None:
        ahead = _AHEAD_CROWDED if self._crowded() else _AHEAD
        for queue in (waiting.to_encode, waiting.to_decode):
            while queue and processes:
                process, job = min(processes, key=CodecProcess.load), queue.next()
                load = process.load()
                if load and load + job.cost > ahead and not job.abandoned:
                    return
                queue.pop()
                if not job.abandoned:
                    self._give(job, process)

    def _give(self, job: CodecJob, process: CodecProcess) -> None:
        if job.answer is not None:
            process.encode(job, job.answer)
        else:
            self._numbers += 1
            process.decode(job, self._numbers)

    async def _add(self, large: bool) -> None:
        """Raises OSError."""
        process = CodecProcess(self._send_waiting, self._died)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._fork_server.fork(theirs, self._niceness)
            await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
            await process.start(self._start)
            # It may have died between its last word and this line.
            if not process.alive:
                raise ConnectionError("a codec process ended as it became ready")
        except BaseException:
            process.close()
            ours.close()
            raise
        if large:
            self._large_process = process
        else:
            self._processes.append(process)
        self._send_waiting()

    def _died(self, process: CodecProcess, decoding: Sequence[CodecJob], encoding: Sequence[CodecJob]) -> None:
        large = process is self._large_process
        if large:
            self._large_process = None
        elif process in self._processes:
            self._processes.remove(process)
        else:
            return  # `_add` sees it
        log.error("a codec process died; another takes its place")
        self._on_death()
        for place, job in enumerate(decoding):
            _try_again(job, self._queue_of(job).to_decode, blamed=not process.killed or place == 0)
        for place, job in enumerate(encoding):
            _try_again(job, self._queue_of(job).to_encode, blamed=not process.killed or place == 0)
        self._send_waiting()
        task = asyncio.get_running_loop().create_task(self._replace(large))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, large: bool) -> None:
        while True:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    return await self._add(large)
            except OSError:  # a time-out is one
                log.exception("a codec process could not be started; trying again")
                self._fork_server.close()  # it may have been stopped; another is started
                await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(slots=True)
class _Waiting:
    """Who waits for a process."""

    to_decode: FairQueue[CodecJob] = field(default_factory=lambda: FairQueue(_client_of))
    to_encode: FairQueue[CodecJob] = field(default_factory=lambda: FairQueue(_client_of))
    """Those with an answer whose picture is kept nowhere, or was in a process that died."""


def _client_of(job: CodecJob) -> str:
    return job.client


def _try_again(job: CodecJob, waiting: FairQueue[CodecJob], blamed: bool) -> None:
    """Only so often where the job may be what its process died of."""
    if job.tries < _TRIES or not blamed:
        job.tries += blamed
        waiting.push(job)
    else:
        job.resolve(Failed(job.number, f"{_TRIES} processes died over this picture"))


def _checked(reply: StepReply) -> DecodeDone | EncodeDone:
    """What was asked for. Raises the ServiceError that the reply is in its place."""
    match reply:
        case Refused():
            raise reply.error
        case Failed():
            log.error("a codec step failed: %s", reply.traceback)
            raise ServiceError
        case _:
            return reply
