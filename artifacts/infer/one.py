"""One answer without a server."""

from pathlib import Path

from artifacts.infer.steps import PictureSteps, Wanted, settings_for
from artifacts.pictures.read import file_data
from artifacts.pictures.write import write_file
from artifacts.store.address import StoreAddress
from artifacts.store.open import open_store
from engine.runtime import Engine


def infer_file(model: Path, store: StoreAddress, image: Path, task: str, output: Path, wanted: Wanted) -> None:
    """Paint `task`'s answer to `image` into `output`, at 112 px (`native`) or the image's own size (`original`)."""
    engine = Engine.load(model, slots=2, buckets=(1,), backend="eager")  # one answer is not worth a compiler
    vector = open_store(store).read(task, engine.fingerprint).vector
    steps = PictureSteps(engine.geometry, settings_for(task, vector.answer, wanted), wanted)
    prepared = steps.prepare(str(image), file_data(image))
    engine.write_slot(1, vector)
    answer = engine.zero_shot(prepared.tile[None], [1])[0]
    write_file(output, steps.finish(prepared, answer))
