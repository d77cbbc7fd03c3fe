"""What the server and a codec process tell each other, and how it is sent."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from service.batching.jobs import Program
from service.codec.codec import Answer, Order, Prepared
from service.codec.images import Pixels
from service.codec.workers.frames import Frame, framed
from service.errors import InvalidImage, ServiceError, UnsupportedMedia

_CHANNELS: Final = 3
_REFUSALS: Final[dict[str, type[ServiceError]]] = {error.code: error for error in (InvalidImage, UnsupportedMedia)}


class Begin(NamedTuple):
    """The first message, answered by a Begun when the process is ready."""

    image_size: int
    patch_size: int
    max_pixels: int

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.image_size, self.patch_size)


class Prepare(NamedTuple):
    """Decode the picture of an order, and keep what its answer will need."""

    number: int
    order: Order
    alone: bool = False
    """Nobody else is there: what can be sent along with the picture is, and not kept."""


class Finish(NamedTuple):
    """Refine and encode the answer, uint8 [cell, cell, 3], to a prepared picture; then forget it."""

    number: int
    answer: Pixels


class Paint(NamedTuple):
    """The same for a picture that is not kept, and is read again: a large one, or one whose process died."""

    number: int
    order: Order
    answer: Pixels


class Forget(NamedTuple):
    """No answer will come for a prepared picture."""

    number: int


class Begun(NamedTuple):
    """Ready for orders."""


class Ready(NamedTuple):
    """To Prepare. What is large, or comes with its guide, is not kept: `Paint` the answer, or finish it elsewhere."""

    number: int
    prepared: Prepared


class Done(NamedTuple):
    """To Finish and Paint."""

    number: int
    answer: Answer


class Refused(NamedTuple):
    """To Prepare: what is wrong with the file."""

    number: int
    code: str
    detail: str

    @property
    def error(self) -> ServiceError:
        return _REFUSALS[self.code](self.detail)


class Failed(NamedTuple):
    """To any: what nobody foresaw."""

    number: int
    traceback: str


Request = Prepare | Finish | Paint | Forget
Reply = Begun | Ready | Done | Refused | Failed


def packed(message: Begin | Request | Reply) -> bytes:
    """As it is sent."""
    number, about = 0, b""
    parts: tuple[bytes, ...] = ()
    match message:
        case Prepare(number, order, alone):
            about, parts = _written(alone, *_about(order)), _files(order)
        case Paint(number, order, answer):
            about, parts = _written(*_about(order)), (answer.tobytes(), *_files(order))
        case Finish(number, answer):
            parts = (answer.tobytes(),)
        case Ready(number, prepared):
            about = _written(prepared.program, prepared.large)
            parts = prepared.pixels.tobytes(), *(() if prepared.guide is None else (prepared.guide.tobytes(),))
        case Done(number, answer):
            about, parts = _written(answer.width, answer.height), (answer.data,)
        case Refused(number, code, detail):
            parts = (code.encode(), detail.encode())
        case Failed(number, trace):
            parts = (trace.encode(),)
        case Forget(number):
            pass
        case Begin() | Begun():
            about = _written(*message)
    return framed(Frame(_KINDS[type(message)], number, about, parts))


def unpacked(frame: Frame) -> Any:
    """One of the classes above."""
    return _READERS[frame.kind](frame)


@lru_cache(typed=True)
def _written(*values: Any) -> bytes:
    return json.dumps(values).encode()


@lru_cache
def _read(about: bytes) -> tuple[Any, ...]:
    return tuple(json.loads(about))


def _about(order: Order) -> tuple[Any, ...]:
    """All of an order but its files. The shape is None where the source is one."""
    source, _, *options, settings = order
    shape = None if isinstance(source, bytes) else source.shape
    return shape, *options, settings.temperature, settings.refine, settings.radius, settings.eps


def _files(order: Order) -> tuple[bytes, ...]:
    source, example, *_ = order
    return source if isinstance(source, bytes) else source.tobytes(), *(example or ())


def _order(parts: Sequence[bytes], shape: Any, size: Any, form: Any, encoded: bool, *settings: Any) -> Order:
    source, *example = parts
    return Order(
        source if shape is None else np.frombuffer(source, np.uint8).reshape(shape),
        (example[0], example[1]) if example else None,
        size,
        form,
        encoded,
        _settings(*settings),
    )


_settings = lru_cache(AnswerSettings)


def _prepare(frame: Frame, alone: bool, *about: Any) -> Prepare:
    return Prepare(frame.number, _order(frame.parts, *about), alone)


def _ready(frame: Frame, program: Program, large: bool) -> Ready:
    pixels, *guide = map(_square, frame.parts)
    return Ready(frame.number, Prepared(program, pixels, guide[0] if guide else None, large))


def _square(data: bytes) -> Pixels:
    side = round((len(data) / _CHANNELS) ** 0.5)
    return np.frombuffer(data, np.uint8).reshape(side, side, _CHANNELS)


_FROM_FRAME: Final[dict[type, Callable[[Frame], Any]]] = {
    Begin: lambda frame: Begin(*_read(frame.about)),
    Begun: lambda frame: Begun(),
    Prepare: lambda frame: _prepare(frame, *_read(frame.about)),
    Finish: lambda frame: Finish(frame.number, _square(frame.parts[0])),
    Paint: lambda frame: Paint(frame.number, _order(frame.parts[1:], *_read(frame.about)), _square(frame.parts[0])),
    Forget: lambda frame: Forget(frame.number),
    Ready: lambda frame: _ready(frame, *_read(frame.about)),
    Done: lambda frame: Done(frame.number, Answer(frame.parts[0], *_read(frame.about))),
    Refused: lambda frame: Refused(frame.number, *(part.decode() for part in frame.parts)),
    Failed: lambda frame: Failed(frame.number, frame.parts[0].decode()),
}
_KINDS: Final = {kind: number for number, kind in enumerate(_FROM_FRAME)}
_READERS: Final = tuple(_FROM_FRAME.values())
