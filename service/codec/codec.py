"""What happens to one image before and after the engine; runs in the codec's processes."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2

from artifacts.pictures.holes import HoledPicture
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.paint import binarised, paint
from artifacts.pictures.resize import middle_square, resized
from artifacts.pictures.write import encode
from engine.errors import NothingToFill
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from service.codec import images
from service.codec.spec import ImageSpec
from service.errors import InvalidImage

# One image, one thread: the codec's processes are as many as the processor has use for.
cv2.setNumThreads(1)

_LARGE_PIXELS: Final = 4_000_000
"""Painting one takes up to 30 bytes a pixel."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image ready for the engine."""

    program: EngineProgram
    pixels: Pixels
    """uint8 [tile, tile, 3] for zero_shot, the whole canvas for one_shot, the tower's square for classify."""
    guide: Pixels | None
    """uint8 [tile, tile, 3]: the query at the answer's size. None where that is the file's own size: the
    file is then read again at the end, so that what waits stays small."""
    large: bool = False
    """Whether the answer takes so much memory that only one such may be worked on at a time."""

    @property
    def paints(self) -> bool:
        """Whether an answer is to be encoded, for which the picture may be needed again."""
        return self.program != "classify"


class EncodedAnswer(NamedTuple):
    """An answer as a file, or as its pixels' bytes; width and height in pixels; 0..1, where it was measured."""

    data: bytes
    width: int
    height: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Codec:
    """Files to engine inputs, engine outputs to files."""

    geometry: Geometry
    limits: PictureLimits

    def decode(self, spec: ImageSpec) -> Decoded:
        """Read an image and lay it out as the engine takes it. Raises InvalidImage or UnsupportedMedia."""
        if spec.square is not None:
            pixels = self._read(spec.source, spec.square.shorter_edge)
            return Decoded("classify", middle_square(pixels, *spec.square), None)
        if spec.size == "original" or spec.has_hole:
            images.check_painting(self._size(spec.source), self.limits, spec.has_hole)
        if spec.has_hole:
            return self._decode_with_hole(spec)
        geometry = self.geometry
        query = self._read(spec.source, geometry.tile)
        cell = resized(query, geometry.cell)
        tile = geometry.query_tile(cell)
        guide: Pixels | None = tile
        if spec.size == "original":
            guide = None
        elif spec.settings.refine != "none":
            guide = resized(query, geometry.tile)
        large = guide is None and self._size(spec.source) > _LARGE_PIXELS
        if spec.example is None:
            return Decoded("zero_shot", tile, guide, large)
        example = [self._cell(data) for data in spec.example]
        return Decoded("one_shot", geometry.canvas(example[0], example[1], cell), guide, large)

    def _decode_with_hole(self, spec: ImageSpec) -> Decoded:
        tile = self.geometry.query_tile(self._holed(spec).cell(self.geometry.cell))
        return Decoded("zero_shot", tile, None, self._size(spec.source) > _LARGE_PIXELS)

    def _holed(self, spec: ImageSpec) -> HoledPicture:
        picture, mask = self._read(spec.source), None if spec.mask is None else self._read(spec.mask)
        try:
            return HoledPicture.of(picture, mask, spec.settings)
        except NothingToFill as error:
            raise InvalidImage(str(error)) from None

    def _cell(self, data: bytes) -> Pixels:
        return resized(self._read(data, self.geometry.tile), self.geometry.cell)

    def _read(self, source: bytes | Pixels, at_least: int | None = None) -> Pixels:
        if isinstance(source, bytes):
            return images.read(source, self.limits, at_least)
        return images.from_pixels(source, self.limits)

    def _size(self, source: bytes | Pixels) -> int:
        """Width times height, from the header where it is a file."""
        if isinstance(source, bytes):
            return images.count_pixels(source, self.limits)
        height, width, _ = source.shape
        return int(height * width)

    def encode(self, answer: Pixels, spec: ImageSpec, guide: Pixels | None) -> EncodedAnswer:
        """Refine `answer` [cell, cell, 3] to the size asked for, and encode it."""
        tile, trust = self.geometry.tile, spec.settings.confidence
        confidence = None if trust is None else trust.of(answer)
        if spec.settings.refine == "hole":
            picture = self._holed(spec).filled(answer, spec.settings, None if spec.size == "original" else tile)
        else:
            picture = paint(answer, self._guide(spec) if guide is None else guide, spec.settings, tile)
        picture = binarised(picture, spec.settings)
        data = encode(picture, spec.format) if spec.encoded else picture.tobytes()
        return EncodedAnswer(data, picture.shape[1], picture.shape[0], confidence)

    def _guide(self, spec: ImageSpec) -> Pixels:
        """The query at the answer's size."""
        if spec.size == "original":
            return self._read(spec.source)
        return resized(self._read(spec.source, self.geometry.tile), self.geometry.tile)
