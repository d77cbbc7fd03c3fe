"""What happens to one image before and after the engine; runs in the codec's processes."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import cv2

from artifacts.pictures.paint import paint
from artifacts.pictures.resize import resized
from artifacts.pictures.write import encode
from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from service.batching.jobs import Program
from service.codec import images
from service.codec.images import Pixels
from service.http.calls import Call
from service.http.schemas import Format, Refine, Size

# One image, one thread: the codec's processes are as many as the processor has use for.
cv2.setNumThreads(1)

_LARGE_PIXELS: Final = 4_000_000
"""Painting one takes up to 30 bytes a pixel."""


class Order(NamedTuple):
    """One image of a call, and how its answer is wanted."""

    source: bytes | Pixels
    """A file, or RGB uint8 [H,W,3]."""
    example: tuple[bytes, bytes] | None
    size: Size
    format: Format
    encoded: bool
    settings: AnswerSettings

    @classmethod
    def of(cls, call: Call, index: int, settings: AnswerSettings) -> "Order":
        """For image `index` of a call."""
        options = call.options
        return cls(call.images[index], call.example, options.size, options.format, call.encoded, settings)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image ready for the engine."""

    program: Program
    pixels: Pixels
    """uint8 [tile, tile, 3] for zero_shot, the whole canvas for one_shot."""
    guide: Pixels | None
    """uint8 [tile, tile, 3]: the query at the answer's size. None where that is the file's own size: the
    file is then read again at the end, so that what waits stays small."""
    large: bool = False
    """Whether the answer takes so much memory that only one such may be worked on at a time."""


class Answer(NamedTuple):
    """An answer, encoded unless the call says otherwise; width and height in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Codec:
    """Files to engine inputs, engine outputs to files."""

    geometry: Geometry
    max_pixels: int

    def prepare(self, order: Order) -> Prepared:
        """Decode an image. Raises InvalidImage or UnsupportedMedia."""
        geometry = self.geometry
        query = self._read(order.source, geometry.tile)
        cell = resized(query, geometry.cell)
        tile = geometry.query_tile(cell)
        guide: Pixels | None = tile
        if order.size == "original":
            guide = None
        elif order.settings.refine != "none":
            guide = resized(query, geometry.tile)
        large = guide is None and self._size(order.source) > _LARGE_PIXELS
        if order.example is None:
            return Prepared("zero_shot", tile, guide, large)
        example = [self._cell(data) for data in order.example]
        return Prepared("one_shot", geometry.canvas(example[0], example[1], cell), guide, large)

    def _cell(self, data: bytes) -> Pixels:
        return resized(self._read(data, self.geometry.tile), self.geometry.cell)

    def _read(self, source: bytes | Pixels, at_least: int | None = None) -> Pixels:
        if isinstance(source, bytes):
            return images.read(source, self.max_pixels, at_least)
        return images.from_pixels(source, self.max_pixels)

    def _size(self, source: bytes | Pixels) -> int:
        """Width times height, from the header where it is a file."""
        if isinstance(source, bytes):
            return images.count_pixels(source, self.max_pixels)
        height, width, _ = source.shape
        return int(height * width)

    def finish(self, answer: Pixels, order: Order, guide: Pixels | None) -> Answer:
        """Refine `answer` [cell, cell, 3] to the size asked for, and encode it."""
        if guide is None and order.size == "original":
            guide = self._read(order.source)
        elif guide is None:
            guide = resized(self._read(order.source, self.geometry.tile), self.geometry.tile)
        picture = paint(answer, guide, order.settings, self.geometry.tile)
        data = encode(picture, order.format) if order.encoded else picture.tobytes()
        return Answer(data, width=picture.shape[1], height=picture.shape[0])


def answer_settings(stored: AnswerSettings, asked: Refine) -> AnswerSettings:
    """The artifact's settings, with what the request asks for in their place."""
    return stored if asked == "auto" else replace(stored, refine=asked)
