"""What the server and a codec process tell each other, and how it is sent."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from artifacts.pictures.limits import PictureLimits
from engine.confidence import Confidence
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from engine.task_vector import AnswerSettings
from service.codec.codec import Decoded, EncodedAnswer
from service.codec.spec import ImageSpec, Square
from service.codec.workers.frames import Frame, framed
from service.errors import InvalidImage, ServiceError, UnsupportedMedia

_CHANNELS: Final = 3
_REFUSALS: Final[dict[str, type[ServiceError]]] = {error.code: error for error in (InvalidImage, UnsupportedMedia)}


class Start(NamedTuple):
    """The first message, answered by Started when the process is ready."""

    image_size: int
    patch_size: int
    limits: PictureLimits

    @property
    def geometry(self) -> Geometry:
        return Geometry(self.image_size, self.patch_size)


class Decode(NamedTuple):
    """Decode a picture, and keep what its answer will need."""

    number: int
    spec: ImageSpec
    alone: bool = False
    """Nobody else is there: what can be sent along with the picture is, and not kept."""


class Encode(NamedTuple):
    """Refine and encode the answer, uint8 [cell, cell, 3], to a picture that is kept; then forget it."""

    number: int
    answer: Pixels


class EncodeWithSource(NamedTuple):
    """The same for a picture that is not kept, and is read again: a large one, or one whose process died."""

    number: int
    spec: ImageSpec
    answer: Pixels


class Forget(NamedTuple):
    """No answer will come for a picture that is kept."""

    number: int


class Started(NamedTuple):
    """To Start: ready for commands."""

    process: int
    """Its number, by which it can be killed."""


class DecodeDone(NamedTuple):
    """To Decode. What is large, or comes with its guide, is not kept: `EncodeWithSource`, or encode it elsewhere.
    Nor is what is classified."""

    number: int
    decoded: Decoded


class EncodeDone(NamedTuple):
    """To Encode and EncodeWithSource."""

    number: int
    answer: EncodedAnswer


class Refused(NamedTuple):
    """To Decode and EncodeWithSource: what is wrong with the file."""

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


Command = Decode | Encode | EncodeWithSource | Forget
StepReply = DecodeDone | EncodeDone | Refused | Failed
Reply = Started | StepReply


def packed(message: Start | Command | Reply) -> bytes:
    """As it is sent."""
    number, about = 0, b""
    parts: tuple[bytes, ...] = ()
    match message:
        case Decode(number, spec, alone):
            about, parts = _written(alone, *_about(spec)), _files(spec)
        case EncodeWithSource(number, spec, answer):
            about, parts = _written(*_about(spec)), (answer.tobytes(), *_files(spec))
        case Encode(number, answer):
            parts = (answer.tobytes(),)
        case DecodeDone(number, decoded):
            about = _written(decoded.program, decoded.large)
            parts = decoded.pixels.tobytes(), *(() if decoded.guide is None else (decoded.guide.tobytes(),))
        case EncodeDone(number, encoded):
            about, parts = _written(encoded.width, encoded.height, encoded.confidence), (encoded.data,)
        case Refused(number, code, detail):
            parts = (code.encode(), detail.encode())
        case Failed(number, trace):
            parts = (trace.encode(),)
        case Forget(number):
            pass
        case Start() | Started():
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


def _about(spec: ImageSpec) -> tuple[Any, ...]:
    """All of a spec but its files and pixels, of which shapes are said: None for a file."""
    source, _, mask, *options, settings, square = spec
    return _shape(source), mask is not None, _shape(mask), *options, square, *_values(settings)


_values = attrgetter(*(field.name for field in fields(AnswerSettings)))


def _shape(picture: bytes | Pixels | None) -> tuple[int, ...] | None:
    return picture.shape if isinstance(picture, np.ndarray) else None


def _files(spec: ImageSpec) -> tuple[bytes, ...]:
    source, example, mask, *_ = spec
    pictures = (source,) if mask is None else (source, mask)
    return *(p if isinstance(p, bytes) else p.tobytes() for p in pictures), *(example or ())


def _spec(
    parts: Sequence[bytes],
    shape: Any,
    masked: bool,
    mask_shape: Any,
    size: Any,
    form: Any,
    encoded: bool,
    square: Any,
    *settings: Any,
) -> ImageSpec:
    source, *rest = parts
    mask = _picture(rest.pop(0), mask_shape) if masked else None
    return ImageSpec(
        _picture(source, shape),
        (rest[0], rest[1]) if rest else None,
        mask,
        size,
        form,
        encoded,
        _settings(*settings),
        Square(*square) if square else None,
    )


def _picture(data: bytes, shape: Any) -> bytes | Pixels:
    return data if shape is None else np.frombuffer(data, np.uint8).reshape(shape)


def _settings(*values: Any) -> AnswerSettings:
    *plain, confidence = values
    if confidence is not None:
        confidence = Confidence(confidence[0], tuple(map(tuple, confidence[1])))
    return _cached_settings(*plain, confidence)


_cached_settings = lru_cache(AnswerSettings)


def _start(image_size: int, patch_size: int, limits: tuple[Any, ...]) -> Start:
    return Start(image_size, patch_size, PictureLimits(*limits))


def _decode(frame: Frame, alone: bool, *about: Any) -> Decode:
    return Decode(frame.number, _spec(frame.parts, *about), alone)


def _encode_with_source(frame: Frame, *about: Any) -> EncodeWithSource:
    return EncodeWithSource(frame.number, _spec(frame.parts[1:], *about), _square(frame.parts[0]))


def _decode_done(frame: Frame, program: EngineProgram, large: bool) -> DecodeDone:
    pixels, *guide = map(_square, frame.parts)
    return DecodeDone(frame.number, Decoded(program, pixels, guide[0] if guide else None, large))


def _square(data: bytes) -> Pixels:
    side = round((len(data) / _CHANNELS) ** 0.5)
    return np.frombuffer(data, np.uint8).reshape(side, side, _CHANNELS)


_FROM_FRAME: Final[dict[type, Callable[[Frame], Any]]] = {
    Start: lambda frame: _start(*_read(frame.about)),
    Started: lambda frame: Started(*_read(frame.about)),
    Decode: lambda frame: _decode(frame, *_read(frame.about)),
    Encode: lambda frame: Encode(frame.number, _square(frame.parts[0])),
    EncodeWithSource: lambda frame: _encode_with_source(frame, *_read(frame.about)),
    Forget: lambda frame: Forget(frame.number),
    DecodeDone: lambda frame: _decode_done(frame, *_read(frame.about)),
    EncodeDone: lambda frame: EncodeDone(frame.number, EncodedAnswer(frame.parts[0], *_read(frame.about))),
    Refused: lambda frame: Refused(frame.number, *(part.decode() for part in frame.parts)),
    Failed: lambda frame: Failed(frame.number, frame.parts[0].decode()),
}
_KINDS: Final = {kind: number for number, kind in enumerate(_FROM_FRAME)}
_READERS: Final = tuple(_FROM_FRAME.values())
