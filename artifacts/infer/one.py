"""`vtv infer`: one answer without a server."""

from dataclasses import dataclass
from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.pictures.holes import HoledPicture
from artifacts.pictures.paint import binarised, paint
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import resized
from artifacts.pictures.write import write_file
from artifacts.store.address import StoreAddress
from artifacts.store.open import open_store
from engine.errors import NothingToFill
from engine.geometry import Pixels
from engine.runtime import Engine
from engine.task_vector import AnswerSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it is wanted: `size` is `native` or `original`, `refine` `auto`, `guided` or `none`, `threshold` `none`
    or `auto`; `mask` is a file, white where to paint."""

    size: str = "native"
    refine: str = "auto"
    mask: Path | None = None
    threshold: str = "none"


def infer_file(model: Path, store: StoreAddress, image: Path, task: str, output: Path, wanted: Wanted) -> None:
    """Paint `task`'s answer to `image` into `output`, at 112 px (`native`) or the image's own size (`original`)."""
    engine = Engine.load(model, slots=2, buckets=(1,), backend="eager")  # one answer is not worth a compiler
    vector = open_store(store).read(task, engine.fingerprint).vector
    settings = settings_for(task, vector.answer, wanted)
    engine.write_slot(1, vector)
    if settings.refine == "hole" or wanted.mask is not None:
        painted = _with_hole(engine, image, settings, wanted)
    else:
        painted = _plain(engine, image, settings, wanted)
    write_file(output, binarised(painted, settings))


def _plain(engine: Engine, image: Path, settings: AnswerSettings, wanted: Wanted) -> Pixels:
    tile = engine.geometry.tile
    picture = read_file(image, tile)
    answer = _answered(engine, resized(picture, engine.geometry.cell))
    return paint(answer, read_file(image) if wanted.size == "original" else resized(picture, tile), settings, tile)


def _with_hole(engine: Engine, image: Path, settings: AnswerSettings, wanted: Wanted) -> Pixels:
    picture, tile = read_file(image), engine.geometry.tile
    try:
        holed = HoledPicture.of(picture, None if wanted.mask is None else read_file(wanted.mask), settings)
    except NothingToFill as error:
        raise OfflineError(f"{image}: {error}") from None
    answer = _answered(engine, holed.cell(engine.geometry.cell))
    native = wanted.size == "native"
    if settings.refine == "hole":
        return holed.filled(answer, settings, tile if native else None)
    return paint(answer, resized(picture, tile) if native else picture, settings, tile)


def _answered(engine: Engine, cell: Pixels) -> Pixels:
    """With the task vector in slot 1."""
    answer: Pixels = engine.zero_shot(engine.geometry.query_tile(cell)[None], [1])[0]
    return answer


def settings_for(task: str, stored: AnswerSettings, wanted: Wanted) -> AnswerSettings:
    """The artifact's, but for what is wanted otherwise; raises OfflineError for what the task has no use for."""
    if wanted.mask is not None and stored.refine != "hole":
        raise OfflineError(f"{task} fills no holes: it takes no mask")
    if wanted.threshold == "auto" and stored.threshold is None:
        raise OfflineError(f"{task} paints no masks: it has no threshold")
    return stored.asked(wanted.refine, wanted.threshold)
