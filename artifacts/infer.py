"""`vtv infer`: one answer without a server."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from artifacts.data.picture_files import read_rgb
from artifacts.errors import OfflineError
from artifacts.store.folder import Store
from engine.refine_picture import refine
from engine.runtime import Engine
from engine.task_vector import AnswerSettings


def infer_file(model: Path, store: Path, image: Path, task: str, output: Path, *, size: str, refine_mode: str) -> None:
    """Paint `task`'s answer to `image` into `output`, at 112 px (`native`) or the image's own size (`original`)."""
    engine = Engine.load(model, slots=2, buckets=(1,), backend="eager")  # one answer is not worth a compiler
    vector = Store(store).read(task, engine.fingerprint).vector
    engine.write_slot(1, vector)
    picture = read_rgb(image)
    cell, tile = engine.geometry.cell, engine.geometry.tile
    query = np.array(picture.resize((cell, cell), Image.Resampling.BICUBIC))
    answer = engine.zero_shot(engine.geometry.query_tile(query)[None], [1])[0]
    guide = picture if size == "original" else picture.resize((tile, tile), Image.Resampling.BICUBIC)
    painted = refine(answer, np.array(guide), settings_for(vector.answer, refine_mode))
    try:
        Image.fromarray(painted).save(output)
    except (OSError, ValueError) as error:
        raise OfflineError(f"{output} cannot be written: {error}") from None


def settings_for(settings: AnswerSettings, mode: str) -> AnswerSettings:
    """`auto` is what the artifact says."""
    return settings if mode == "auto" else replace(settings, refine=mode)
