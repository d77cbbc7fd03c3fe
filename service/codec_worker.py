"""A codec process: reads pictures, and refines and encodes answers, one at a time, until the server hangs up.

The server sends orders; a prepared picture stays here until its answer comes or it is forgotten. Answers go before
pictures: whoever is nearly done is not held up by those that come in.
"""

import socket
import traceback
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

from engine.geometry import Geometry
from service.codec import Answer, Codec, Order, Prepared
from service.errors import ServiceError
from service.frames import Frames, framed
from service.images import Pixels
from service.jobs import Program

_CHUNK: Final = 1 << 20
_CHANNELS: Final = 3


class Begin(NamedTuple):
    """The first message, answered by an empty Reply when the process is ready."""

    geometry: Geometry
    max_pixels: int


class Prepare(NamedTuple):
    """Decode the picture of an order, and keep what its answer will need."""

    number: int
    order: Order


class Finish(NamedTuple):
    """Refine and encode the answer to a prepared picture; then forget it."""

    number: int
    answer: bytes


class Paint(NamedTuple):
    """The same for a picture that is not kept: a large one, which is read again."""

    number: int
    order: Order
    answer: bytes


class Forget(NamedTuple):
    """No answer will come for a prepared picture."""

    number: int


class Ready(NamedTuple):
    """A prepared picture, for the engine."""

    program: Program
    pixels: bytes
    side: int
    """uint8 [side, side, 3]."""
    large: bool
    """It is not kept here: `Paint` its answer."""


class Reply(NamedTuple):
    """To Prepare a Ready, to Finish and Paint an Answer; else what went wrong, an unforeseen error as its traceback."""

    number: int
    seconds: float
    result: Ready | Answer | ServiceError | str | None


def pixels_of(data: bytes, side: int) -> Pixels:
    """What was sent as bytes: uint8 [side, side, 3]."""
    return np.frombuffer(data, np.uint8).reshape(side, side, _CHANNELS)


class Worker:
    """What the process does, one message after the other."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._kept: dict[int, tuple[Order, Prepared]] = {}

    def prepare(self, message: Prepare) -> Ready:
        prepared = self._codec.prepare(message.order)
        if not prepared.large:
            self._kept[message.number] = message.order, prepared
        pixels = prepared.pixels
        return Ready(prepared.program, pixels.tobytes(), len(pixels), prepared.large)

    def finish(self, message: Finish) -> Answer:
        order, prepared = self._kept.pop(message.number)
        return self._codec.finish(self._answer(message.answer), order, prepared.guide)

    def paint(self, message: Paint) -> Answer:
        return self._codec.finish(self._answer(message.answer), message.order, None)

    def forget(self, message: Forget) -> None:
        self._kept.pop(message.number, None)

    def _answer(self, data: bytes) -> Pixels:
        return pixels_of(data, self._codec.geometry.cell).copy()  # torch takes no read-only memory


def work(channel: socket.socket) -> None:
    """Serve the other end of `channel` until it closes."""
    inbox = _Inbox(channel)
    begin: Begin = inbox.first()
    worker = Worker(Codec(begin.geometry, begin.max_pixels))
    channel.sendall(framed(Reply(0, 0.0, None)))
    while (message := inbox.next()) is not None:
        match message:
            case Prepare():
                reply = _done(worker.prepare, message)
            case Finish():
                reply = _done(worker.finish, message)
            case Paint():
                reply = _done(worker.paint, message)
            case _:
                worker.forget(message)
                continue
        channel.sendall(framed(reply))


def _done(step: Callable[[Any], Ready | Answer], message: Prepare | Finish | Paint) -> Reply:
    started = perf_counter()
    result: Ready | Answer | ServiceError | str
    try:
        result = step(message)
    except ServiceError as error:
        result = error
    except Exception:
        result = traceback.format_exc()
    return Reply(message.number, perf_counter() - started, result)


class _Inbox:
    """Messages in the order of their urgency."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._chunk = memoryview(bytearray(_CHUNK))
        self._frames = Frames()
        self._pictures: deque[Prepare] = deque()
        self._others: deque[Finish | Paint | Forget] = deque()

    def first(self) -> Begin:
        """Raises ConnectionError."""
        while size := self._channel.recv_into(self._chunk):
            for message in self._frames.feed(self._chunk[:size]):
                begin: Begin = message
                return begin
        raise ConnectionError("the server hung up")

    def next(self) -> Prepare | Finish | Paint | Forget | None:
        """The next one; None once the other end has closed."""
        while self._receive(wait=not (self._others or self._pictures)):
            if self._others:
                return self._others.popleft()
            if self._pictures:
                return self._pictures.popleft()
        return None

    def _receive(self, wait: bool) -> bool:
        """Sort what has come. False once the other end has closed."""
        try:
            size = self._channel.recv_into(self._chunk, flags=0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        for message in self._frames.feed(self._chunk[:size]):
            if isinstance(message, Prepare):
                self._pictures.append(message)
            else:
                self._others.append(message)
        return size > 0
