"""What happens to one image before and after the engine; runs on the codec threads."""

from dataclasses import dataclass, replace
from typing import Final

import cv2

from engine.geometry import Geometry
from engine.refine_picture import refine
from engine.task_vector import AnswerSettings
from service import images
from service.calls import Call
from service.images import Pixels
from service.jobs import Program
from service.schemas import Refine

# One image, one thread: the codec threads are as many as the processor has use for.
cv2.setNumThreads(1)

_LARGE_PIXELS: Final = 4_000_000
"""Painting one takes up to 30 bytes a pixel."""


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


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, encoded unless the call says otherwise; width and height in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Codec:
    """Files to engine inputs, engine outputs to files."""

    geometry: Geometry
    max_pixels: int

    def prepare(self, call: Call, index: int, settings: AnswerSettings) -> Prepared:
        """Decode image `index` of `call`. Raises InvalidImage or UnsupportedMedia."""
        geometry = self.geometry
        query = self._read(call.images[index], geometry.tile)
        cell = images.resized(query, geometry.cell)
        tile = geometry.query_tile(cell)
        guide: Pixels | None = tile
        if call.options.size == "original":
            guide = None
        elif settings.refine != "none":
            guide = images.resized(query, geometry.tile)
        large = guide is None and self._size(call.images[index]) > _LARGE_PIXELS
        if call.example is None:
            return Prepared("zero_shot", tile, guide, large)
        example = [self._cell(data) for data in call.example]
        return Prepared("one_shot", geometry.canvas(example[0], example[1], cell), guide, large)

    def _cell(self, data: bytes) -> Pixels:
        return images.resized(self._read(data, self.geometry.tile), self.geometry.cell)

    def _read(self, source: bytes | Pixels, at_least: int | None = None) -> Pixels:
        if isinstance(source, bytes):
            return images.read(source, self.max_pixels, at_least)
        return images.from_pixels(source, self.max_pixels)

    def _size(self, source: bytes | Pixels) -> int:
        """Width times height, from the header where it is a file."""
        if isinstance(source, bytes):
            image = images.open_image(source, self.max_pixels)
            return image.width * image.height
        height, width, _ = source.shape
        return int(height * width)

    def finish(
        self, answer: Pixels, call: Call, index: int, guide: Pixels | None, settings: AnswerSettings
    ) -> Answer:
        """Refine `answer` [cell, cell, 3] to the size asked for, and encode it."""
        if guide is None:
            guide = self._read(call.images[index])
        picture = self._painted(answer, guide, settings)
        data = images.encode(picture, call.options.format) if call.encoded else picture.tobytes()
        return Answer(data, width=picture.shape[1], height=picture.shape[0])

    def _painted(self, answer: Pixels, guide: Pixels, settings: AnswerSettings) -> Pixels:
        if settings.refine == "none" and guide.shape[:2] == (self.geometry.tile, self.geometry.tile):
            return images.resized(answer, self.geometry.tile)  # the same picture, without a detour over floats
        return refine(answer, guide, settings)


def answer_settings(stored: AnswerSettings, asked: Refine) -> AnswerSettings:
    """The artifact's settings, with what the request asks for in their place."""
    return stored if asked == "auto" else replace(stored, refine=asked)
