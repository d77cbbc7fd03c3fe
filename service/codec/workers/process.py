"""One codec process as the event loop sees it, and the images it has in hand."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from engine.geometry import Pixels
from service.codec.codec import Decoded
from service.codec.spec import ImageSpec
from service.codec.workers.frames import Frames
from service.codec.workers.handle import Handle
from service.codec.workers.messages import (
    Command,
    Decode,
    DecodeDone,
    Encode,
    EncodeWithSource,
    Forget,
    Reply,
    Start,
    Started,
    StepReply,
    packed,
    unpacked,
)


@dataclass(slots=True, eq=False)
class CodecJob:
    """One image on its way through the codec: where its picture is kept, and who waits for the step under way."""

    spec: ImageSpec
    alone: bool = False
    """Nobody else was there when it came."""
    client: str = ""
    """Whose turn it waits for."""
    cost: int = 1
    """As `service.codec.cost` tells it."""
    number: int = 0
    process: "CodecProcess | None" = None
    """Where it was decoded and, unless its answer is large, is kept."""
    decoded: Decoded | None = None
    """Where it is encoded in the server's own process."""
    large: bool = False
    """Nobody keeps it; its answer is a large picture."""
    answer: Pixels | None = None
    """uint8 [cell, cell, 3], once it is to be encoded."""
    tries: int = 1
    reply: asyncio.Future[StepReply] | None = None

    def expect(self) -> asyncio.Future[StepReply]:
        """What the reply to the step that is asked for next will come by."""
        self.reply = asyncio.get_running_loop().create_future()
        return self.reply

    @property
    def abandoned(self) -> bool:
        """Nobody waits for the step under way any more."""
        return self.reply is None or self.reply.done()

    def resolve(self, reply: StepReply) -> None:
        """The step is done. An error comes as its message: a future that held it would be in a circle with the frames
        that it was raised in, and their pictures would wait for the garbage collector."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(reply)


class CodecProcess(asyncio.Protocol):
    """What a process has been asked for.

    `on_room` is called whenever it may be asked for more, `on_death` if it dies after it was ready, with the jobs
    that it was decoding, and those that it was encoding.
    """

    def __init__(
        self,
        on_room: Callable[[], None],
        on_death: Callable[["CodecProcess", Sequence[CodecJob], Sequence[CodecJob]], None],
    ) -> None:
        self.alive = False
        self.killed = False
        """Because it said nothing: what it was at may be to blame, what waited behind it is not."""
        self._closed = False
        self._handle: Handle | None = None
        self._heard = 0.0
        self._on_room = on_room
        self._on_death = on_death
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._decoding: dict[int, CodecJob] = {}
        self._kept: set[int] = set()
        self._encoding: dict[int, CodecJob] = {}

    async def start(self, start: Start) -> None:
        """Returns when the process is ready. Raises ConnectionError where it ends instead."""
        self._write(start)
        await self._ready

    def load(self) -> int:
        """What it has before it, in units of cost."""
        return sum(job.cost for jobs in (self._decoding, self._encoding) for job in jobs.values())

    def silent_for(self, now: float) -> float:
        """Seconds since it was last heard of, or given work, by the event loop's clock; 0 where it has none."""
        return now - self._heard if self._decoding or self._encoding else 0.0

    def kill(self) -> None:
        """End it, whatever it does, with all that it has in hand."""
        self.killed = True
        self._end()

    def decode(self, job: CodecJob, number: int) -> None:
        self._given_work()
        job.number, job.process = number, self
        self._decoding[number] = job
        self._write(Decode(number, job.spec, job.alone))

    def encode(self, job: CodecJob, answer: Pixels) -> None:
        self._given_work()
        self._encoding[job.number] = job
        if job.process is self:
            self._kept.discard(job.number)
            self._write(Encode(job.number, answer))
        else:
            self._write(EncodeWithSource(job.number, job.spec, answer))

    def forget(self, job: CodecJob) -> None:
        """Keep the job's picture no longer, where it is kept."""
        if job.number in self._kept and self.alive:
            self._kept.remove(job.number)
            self._write(Forget(job.number))

    def close(self) -> None:
        """End it, whatever it does: one that is stopped would not see that nobody is there."""
        self._closed = True
        self._ready.cancel()
        self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.alive = cast(asyncio.Transport, transport), True

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        for frame in self._frames.feed(data):
            self._settle(unpacked(frame))
        self._on_room()

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if self._handle is not None:
            self._handle.close()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError("a codec process ended before it was ready"))
        elif not self._closed:
            self._on_death(self, list(self._decoding.values()), list(self._encoding.values()))

    def _end(self) -> None:
        if self._handle is not None:
            self._handle.kill()
        if self._transport is not None:
            self._transport.abort()

    def _given_work(self) -> None:
        if not self._decoding and not self._encoding:
            self._heard = asyncio.get_running_loop().time()

    def _settle(self, reply: Reply) -> None:
        match reply:
            case Started(process):
                self._handle = Handle(process)
                self._ready.set_result(None)
            case DecodeDone():
                self._decoded(self._decoding.pop(reply.number), reply)
            case _:
                job = self._decoding.pop(reply.number, None) or self._encoding.pop(reply.number)
                job.resolve(reply)

    def _decoded(self, job: CodecJob, reply: DecodeDone) -> None:
        if reply.decoded.guide is not None:
            job.process, job.decoded = None, reply.decoded
        elif not reply.decoded.paints:
            job.process = None
        elif reply.decoded.large:
            job.process, job.large = None, True
        else:
            self._kept.add(job.number)
        if job.abandoned:
            self.forget(job)
        else:
            job.resolve(reply)

    def _write(self, message: Start | Command) -> None:
        assert self._transport is not None
        self._transport.write(packed(message))
