"""What the server and a codec process tell each other, and how it is sent."""

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from service.codec.codec import Answer, Order
from service.codec.frames import Message, framed
from service.codec.images import Pixels
from service.errors import InvalidImage, ServiceError, UnsupportedMedia
from service.jobs import Program

_CHANNELS: Final = 3
_REFUSALS: Final[dict[str, type[ServiceError]]] = {error.code: error for error in (InvalidImage, UnsupportedMedia)}
_KIND: Final = "kind"


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


class Finish(NamedTuple):
    """Refine and encode the answer, uint8 [cell, cell, 3], to a prepared picture; then forget it."""

    number: int
    answer: Pixels


class Paint(NamedTuple):
    """The same for a picture that is not kept: a large one, which is read again."""

    number: int
    order: Order
    answer: Pixels


class Forget(NamedTuple):
    """No answer will come for a prepared picture."""

    number: int


class Begun(NamedTuple):
    """Ready for orders."""


class Ready(NamedTuple):
    """To Prepare: a picture for the engine, uint8 [side, side, 3]."""

    number: int
    seconds: float
    program: Program
    large: bool
    """It is not kept: `Paint` its answer."""
    pixels: Pixels


class Done(NamedTuple):
    """To Finish and Paint."""

    number: int
    seconds: float
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
    head: dict[str, Any] = {_KIND: type(message).__name__}
    match message:
        case Prepare(number, order):
            about, parts = _order_parts(order)
            return framed({**head, "number": number, **about}, parts)
        case Paint(number, order, answer):
            about, parts = _order_parts(order)
            return framed({**head, "number": number, **about}, [answer.tobytes(), *parts])
        case Finish(number, answer):
            return framed({**head, "number": number}, [answer.tobytes()])
        case Ready(number, seconds, program, large, pixels):
            about = {"number": number, "seconds": seconds, "program": program, "large": large}
            return framed({**head, **about}, [pixels.tobytes()])
        case Done(number, seconds, answer):
            about = {"number": number, "seconds": seconds, "width": answer.width, "height": answer.height}
            return framed({**head, **about}, [answer.data])
        case _:
            return framed({**head, **message._asdict()})


def unpacked(message: Message) -> Any:
    """One of the classes above."""
    head, parts = message
    match head.pop(_KIND):
        case "Prepare":
            return Prepare(head["number"], _order(head, parts))
        case "Paint":
            return Paint(head["number"], _order(head, parts[1:]), _square(parts[0]))
        case "Finish":
            return Finish(head["number"], _square(parts[0]))
        case "Ready":
            return Ready(**head, pixels=_square(parts[0]))
        case "Done":
            return Done(head["number"], head["seconds"], Answer(parts[0], head["width"], head["height"]))
        case kind:
            return _SIMPLE[kind](**head)


_SIMPLE: Final[dict[str, Any]] = {kind.__name__: kind for kind in (Begin, Begun, Forget, Refused, Failed)}


def _order_parts(order: Order) -> tuple[dict[str, Any], list[bytes]]:
    """`shape` is None where the source is a file."""
    source, example, settings = order.source, order.example, order.settings
    about = {
        "shape": None if isinstance(source, bytes) else source.shape,
        "size": order.size,
        "format": order.format,
        "encoded": order.encoded,
        "settings": (settings.temperature, settings.refine, settings.radius, settings.eps),
    }
    return about, [source if isinstance(source, bytes) else source.tobytes(), *(example or ())]


def _order(head: dict[str, Any], parts: list[bytes]) -> Order:
    source, *example = parts
    shape = head["shape"]
    return Order(
        source if shape is None else np.frombuffer(source, np.uint8).reshape(shape),
        (example[0], example[1]) if example else None,
        head["size"],
        head["format"],
        head["encoded"],
        _settings(*head["settings"]),
    )


_settings = lru_cache(AnswerSettings)


def _square(data: bytes) -> Pixels:
    side = round((len(data) / _CHANNELS) ** 0.5)
    return np.frombuffer(data, np.uint8).reshape(side, side, _CHANNELS)
