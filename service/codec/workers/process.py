"""One codec process as the event loop sees it, and the fork server they come from."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from service.codec.codec import Answer, Order, Prepared
from service.codec.images import Pixels
from service.codec.workers.frames import Frames
from service.codec.workers.messages import (
    Begin,
    Begun,
    Done,
    Failed,
    Finish,
    Forget,
    Paint,
    Prepare,
    Ready,
    Refused,
    Reply,
    Request,
    packed,
    unpacked,
)
from service.errors import ServiceError

log: Final = logging.getLogger("vtv.codec")


@dataclass(slots=True, eq=False)
class Errand:
    """One picture's way through the processes."""

    order: Order
    prepared: Callable[[Prepared], None]
    failed: Callable[[ServiceError], None]
    alone: bool = False
    """Nobody else was there when it came."""
    finished: Callable[[Answer], None] | None = None
    number: int = 0
    home: "CodecProcess | None" = None
    """Where it was prepared and, unless its answer is large, is kept."""
    here: Prepared | None = None
    """Where it is finished in the server's own process."""
    paints_large: bool = False
    """Nobody keeps it; its answer is a large picture."""
    answer: Pixels | None = None
    tries: int = 1
    given_up: bool = False


class CodecProcess(asyncio.Protocol):
    """What a process has been asked for.

    `on_room` is called whenever it may be asked for more, `on_death` if it dies after it was ready, with the pictures
    that it was preparing, and those that it was finishing.
    """

    def __init__(
        self,
        on_room: Callable[[], None],
        on_death: Callable[["CodecProcess", Sequence[Errand], Sequence[Errand]], None],
    ) -> None:
        self.alive = False
        self._closed = False
        self._on_room = on_room
        self._on_death = on_death
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._preparing: dict[int, Errand] = {}
        self._kept: set[int] = set()
        self._finishing: dict[int, Errand] = {}

    async def begin(self, begin: Begin) -> None:
        """Returns when the process is ready. Raises ConnectionError where it ends instead."""
        self._write(begin)
        await self._ready

    def pictures(self) -> int:
        """Those that it has before it."""
        return len(self._preparing)

    def prepare(self, errand: Errand, number: int) -> None:
        errand.number, errand.home = number, self
        self._preparing[number] = errand
        self._write(Prepare(number, errand.order, errand.alone))

    def finish(self, errand: Errand, answer: Pixels) -> None:
        self._finishing[errand.number] = errand
        if errand.home is self:
            self._kept.discard(errand.number)
            self._write(Finish(errand.number, answer))
        else:
            self._write(Paint(errand.number, errand.order, answer))

    def forget(self, errand: Errand) -> None:
        """Keep the errand's picture no longer, where it is kept."""
        if errand.number in self._kept and self.alive:
            self._kept.remove(errand.number)
            self._write(Forget(errand.number))

    def close(self) -> None:
        """The process ends when it has done what it is doing."""
        self._closed = True
        self._ready.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.alive = cast(asyncio.Transport, transport), True

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            self._settle(unpacked(frame))
        self._on_room()

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if not self._ready.done():
            self._ready.set_exception(ConnectionError("a codec process ended before it was ready"))
        elif not self._closed:
            self._on_death(self, list(self._preparing.values()), list(self._finishing.values()))

    def _settle(self, reply: Reply) -> None:
        match reply:
            case Begun():
                self._ready.set_result(None)
            case Ready():
                self._prepared(self._preparing.pop(reply.number), reply.prepared)
            case _:
                errand = self._preparing.pop(reply.number, None) or self._finishing.pop(reply.number)
                if not errand.given_up:
                    _end(errand, reply)

    def _prepared(self, errand: Errand, prepared: Prepared) -> None:
        if prepared.guide is not None:
            errand.home, errand.here = None, prepared
        elif prepared.large:
            errand.home, errand.paints_large = None, True
        else:
            self._kept.add(errand.number)
        if errand.given_up:
            self.forget(errand)
        else:
            errand.prepared(prepared)

    def _write(self, message: Begin | Request) -> None:
        assert self._transport is not None
        self._transport.write(packed(message))


def _end(errand: Errand, reply: Done | Refused | Failed) -> None:
    match reply:
        case Done():
            assert errand.finished is not None
            errand.finished(reply.answer)
        case Refused():
            errand.failed(reply.error)
        case Failed():
            log.error("a codec step failed: %s", reply.traceback)
            errand.failed(ServiceError())


class ForkServer:
    """The process that forks them. It is started when first needed, and again should it be gone."""

    def __init__(self, niceness: int) -> None:
        self._niceness: Final = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, channel: socket.socket) -> None:
        """Have a process serve the other end of `channel`. Raises OSError."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._open()
        assert self._control is not None
        socket.send_fds(self._control, [b"!"], [channel.fileno()])

    def close(self) -> None:
        """Its children live on until their channels close."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def _open(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            module = "service.codec.workers.fork_server"
            command = [sys.executable, "-m", module, str(theirs.fileno()), str(self._niceness)]
            one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # for the libraries that read it as they are loaded
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=one_thread)
