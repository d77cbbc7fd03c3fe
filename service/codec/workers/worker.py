"""A codec process: reads pictures, and refines and encodes answers, one at a time, until the server hangs up.

The server sends orders; a prepared picture stays here until its answer comes or it is forgotten. Answers go before
pictures: whoever is nearly done is not held up by those that come in.
"""

import socket
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from service.codec.codec import Codec, Order, Prepared
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

_CHUNK: Final = 1 << 20


class Worker:
    """What the process does, one message after the other."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._kept: dict[int, tuple[Order, Prepared]] = {}

    def prepare(self, message: Prepare) -> Ready:
        prepared = self._codec.prepare(message.order)
        sent = prepared if message.alone else replace(prepared, guide=None)
        if sent.guide is None and not sent.large:
            self._kept[message.number] = message.order, prepared
        return Ready(message.number, sent)

    def finish(self, message: Finish) -> Done:
        order, prepared = self._kept.pop(message.number)
        return Done(message.number, self._codec.finish(message.answer.copy(), order, prepared.guide))

    def paint(self, message: Paint) -> Done:
        return Done(message.number, self._codec.finish(message.answer.copy(), message.order, None))

    def forget(self, message: Forget) -> None:
        self._kept.pop(message.number, None)


def work(channel: socket.socket) -> None:
    """Serve the other end of `channel` until it closes."""
    inbox = _Inbox(channel)
    begin = inbox.first()
    worker = Worker(Codec(begin.geometry, begin.max_pixels))
    channel.sendall(packed(Begun()))
    while (message := inbox.next()) is not None:
        match message:
            case Prepare():
                reply = _attempted(worker.prepare, message)
            case Finish():
                reply = _attempted(worker.finish, message)
            case Paint():
                reply = _attempted(worker.paint, message)
            case Forget():
                worker.forget(message)
                continue
        channel.sendall(packed(reply))


def _attempted(step: Callable[[Any], Reply], message: Prepare | Finish | Paint) -> Reply:
    try:
        return step(message)
    except ServiceError as error:
        return Refused(message.number, error.code, error.detail)
    except Exception:
        return Failed(message.number, traceback.format_exc())


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
                begin: Begin = unpacked(message)
                return begin
        raise ConnectionError("the server hung up")

    def next(self) -> Request | None:
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
        for frame in self._frames.feed(self._chunk[:size]):
            message: Request = unpacked(frame)
            if isinstance(message, Prepare):
                self._pictures.append(message)
            else:
                self._others.append(message)
        return size > 0
