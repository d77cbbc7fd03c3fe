"""A codec process: reads pictures, and refines and encodes answers, one at a time, until the server hangs up.

The server sends commands; a decoded picture stays here until its answer comes or it is forgotten. Answers go before
pictures: whoever is nearly done is not held up by those that come in.
"""

import os
import socket
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from service.codec.codec import Codec, Decoded
from service.codec.spec import ImageSpec
from service.codec.workers.frames import Frames
from service.codec.workers.messages import (
    Command,
    Decode,
    DecodeDone,
    Encode,
    EncodeDone,
    EncodeWithSource,
    Failed,
    Forget,
    Refused,
    Start,
    Started,
    StepReply,
    packed,
    unpacked,
)
from service.errors import ServiceError

_CHUNK: Final = 1 << 20


class Worker:
    """What the process does, one message after the other."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._kept: dict[int, tuple[ImageSpec, Decoded]] = {}

    def decode(self, message: Decode) -> DecodeDone:
        decoded = self._codec.decode(message.spec)
        sent = decoded if message.alone else replace(decoded, guide=None)
        if sent.paints and sent.guide is None and not sent.large:
            self._kept[message.number] = message.spec, decoded
        return DecodeDone(message.number, sent)

    def encode(self, message: Encode) -> EncodeDone:
        spec, decoded = self._kept.pop(message.number)
        return EncodeDone(message.number, self._codec.encode(message.answer.copy(), spec, decoded.guide))

    def encode_with_source(self, message: EncodeWithSource) -> EncodeDone:
        return EncodeDone(message.number, self._codec.encode(message.answer.copy(), message.spec, None))

    def forget(self, message: Forget) -> None:
        self._kept.pop(message.number, None)


def work(channel: socket.socket) -> None:
    """Serve the other end of `channel` until it closes."""
    inbox = _Inbox(channel)
    start = inbox.first()
    worker = Worker(Codec(start.geometry, start.limits))
    channel.sendall(packed(Started(os.getpid())))
    while (message := inbox.next()) is not None:
        match message:
            case Decode():
                reply = _attempted(worker.decode, message)
            case Encode():
                reply = _attempted(worker.encode, message)
            case EncodeWithSource():
                reply = _attempted(worker.encode_with_source, message)
            case Forget():
                worker.forget(message)
                continue
        channel.sendall(packed(reply))


def _attempted(step: Callable[[Any], StepReply], message: Decode | Encode | EncodeWithSource) -> StepReply:
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
        self._pictures: deque[Decode] = deque()
        self._others: deque[Encode | EncodeWithSource | Forget] = deque()

    def first(self) -> Start:
        """Raises ConnectionError."""
        while size := self._channel.recv_into(self._chunk):
            for message in self._frames.feed(self._chunk[:size]):
                start: Start = unpacked(message)
                return start
        raise ConnectionError("the server hung up")

    def next(self) -> Command | None:
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
            message: Command = unpacked(frame)
            if isinstance(message, Decode):
                self._pictures.append(message)
            else:
                self._others.append(message)
        return size > 0
