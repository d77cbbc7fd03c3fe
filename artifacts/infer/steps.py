"""What happens to one picture before and after the engine."""

from dataclasses import dataclass
from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.pictures.holes import HoledPicture
from artifacts.pictures.paint import binarised, paint
from artifacts.pictures.read import read_data, read_file
from artifacts.pictures.resize import resized
from engine.errors import NothingToFill
from engine.geometry import Geometry, Pixels
from engine.task_vector import AnswerSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it is wanted: `size` is `native` or `original`, `refine` `auto`, `guided` or `none`, `threshold` `none`
    or `auto`; `mask` is a file, white where to paint."""

    size: str = "native"
    refine: str = "auto"
    mask: Path | None = None
    threshold: str = "none"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture ready for the engine."""

    name: str
    tile: Pixels
    """uint8 [tile,tile,3]."""
    guide: Pixels | None
    """The query at the answer's size, uint8 [tile,tile,3]; None where the file is read again, as that is smaller."""
    data: bytes


class PictureSteps:
    """Of pictures that are all answered alike."""

    def __init__(self, geometry: Geometry, settings: AnswerSettings, wanted: Wanted) -> None:
        """Raises OfflineError for a mask that cannot be read."""
        self.geometry, self.settings, self.native = geometry, settings, wanted.size == "native"
        self.mask = None if wanted.mask is None else read_file(wanted.mask)
        self.has_hole = settings.refine == "hole" or self.mask is not None

    def prepare(self, name: str, data: bytes) -> Prepared:
        """Read a file; raises OfflineError that names it."""
        geometry = self.geometry
        if self.has_hole:
            cell = self._holed(name, data).cell(geometry.cell)
            return Prepared(name, geometry.query_tile(cell), None, data)
        picture = read_data(name, data, geometry.tile)
        tile = geometry.query_tile(resized(picture, geometry.cell))
        if self.native:
            return Prepared(name, tile, resized(picture, geometry.tile), b"")
        return Prepared(name, tile, None, data)

    def finish(self, prepared: Prepared, answer: Pixels) -> Pixels:
        """The answer uint8 [cell,cell,3] as the picture that is wanted."""
        return binarised(self._painted(prepared, answer), self.settings)

    def _painted(self, prepared: Prepared, answer: Pixels) -> Pixels:
        tile = self.geometry.tile
        if self.settings.refine == "hole":
            holed = self._holed(prepared.name, prepared.data)
            return holed.filled(answer, self.settings, tile if self.native else None)
        guide = prepared.guide
        if guide is None:
            picture = read_data(prepared.name, prepared.data)
            guide = resized(picture, tile) if self.native else picture
        return paint(answer, guide, self.settings, tile)

    def _holed(self, name: str, data: bytes) -> HoledPicture:
        try:
            return HoledPicture.of(read_data(name, data), self.mask, self.settings)
        except NothingToFill as error:
            raise OfflineError(f"{name}: {error}") from None


def settings_for(task: str, stored: AnswerSettings, wanted: Wanted) -> AnswerSettings:
    """The artifact's, but for what is wanted otherwise; raises OfflineError for what the task has no use for."""
    if wanted.mask is not None and stored.refine != "hole":
        raise OfflineError(f"{task} fills no holes: it takes no mask")
    if wanted.threshold == "auto" and stored.threshold is None:
        raise OfflineError(f"{task} paints no masks: it has no threshold")
    return stored.asked(wanted.refine, wanted.threshold)
