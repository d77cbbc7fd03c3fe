"""`vtv infer` over many small pictures beside the engine alone, in one run.

    python -m benchmarks.bulk PICTURES

Prints one JSON object. The engine alone is measured before and after, as machines are faster for a while.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artifacts.console import keep_quiet
from artifacts.infer.answering import SLOT, Answering
from artifacts.infer.files import open_pictures
from artifacts.infer.many import Request, infer_many, make_answering
from artifacts.infer.steps import Wanted
from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from artifacts.store.open import open_store

TASK, SIDE, RAW_SECONDS = "segmentation", 160, 10.0


def main(count: int) -> dict[str, Any]:
    """Ratio of pictures a second, of files in and files out to tensors in and tensors out."""
    with tempfile.TemporaryDirectory() as name:
        pictures, output = Path(name) / "pictures", Path(name) / "answers"
        fill(pictures, count)
        request = Request(BUNDLED_MODEL, BUNDLED_STORE, pictures, TASK, output, Wanted())
        artifact = open_store(BUNDLED_STORE).read(TASK)
        answering = make_answering(request, artifact, open_pictures(pictures), 2)
        answering.engine.warm_up()
        before = raw(answering)
        started = time.perf_counter()
        summary = infer_many(request, keep_quiet, lambda *_: answering.answer)
        spent = time.perf_counter() - started
        after = raw(answering)
    assert summary.answered == count
    engine = (before + after) / 2
    return {
        "pictures": count,
        "backend": answering.engine.backend,
        "raw_per_second": [round(before, 1), round(after, 1)],
        "infer_per_second": round(count / spent, 1),
        "ratio": round(count / spent / engine, 3),
    }


def fill(folder: Path, count: int) -> None:
    """JPEG files of smooth colours, a hundred kinds of them."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for index in range(min(count, 100)):
        coarse = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{index:05}.jpg", quality=90)
    for index in range(100, count):
        (folder / f"{index:05}.jpg").write_bytes((folder / f"{index % 100:05}.jpg").read_bytes())


def raw(answering: Answering) -> float:
    """Pictures a second of whole batches, one after the other."""
    engine = answering.engine
    side = engine.geometry.tile
    tiles = np.random.default_rng(0).integers(0, 256, (engine.max_batch, side, side, 3), np.uint8)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < RAW_SECONDS:
        engine.submit("zero_shot", tiles, [SLOT] * len(tiles)).result()
        done += len(tiles)
    return done / (time.perf_counter() - started)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
