"""`vtv infer`: one answer without a server."""

from dataclasses import replace
from pathlib import Path

from artifacts.pictures.paint import paint
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import resized
from artifacts.pictures.write import write_file
from artifacts.store.folder import Store
from engine.runtime import Engine
from engine.task_vector import AnswerSettings


def infer_file(model: Path, store: Path, image: Path, task: str, output: Path, *, size: str, refine_mode: str) -> None:
    """Paint `task`'s answer to `image` into `output`, at 112 px (`native`) or the image's own size (`original`)."""
    engine = Engine.load(model, slots=2, buckets=(1,), backend="eager")  # one answer is not worth a compiler
    vector = Store(store).read(task, engine.fingerprint).vector
    engine.write_slot(1, vector)
    geometry = engine.geometry
    picture = read_file(image, geometry.tile)
    query = geometry.query_tile(resized(picture, geometry.cell))
    answer = engine.zero_shot(query[None], [1])[0]
    guide = read_file(image) if size == "original" else resized(picture, geometry.tile)
    write_file(output, paint(answer, guide, settings_for(vector.answer, refine_mode), geometry.tile))


def settings_for(settings: AnswerSettings, mode: str) -> AnswerSettings:
    """`auto` is what the artifact says."""
    return settings if mode == "auto" else replace(settings, refine=mode)
