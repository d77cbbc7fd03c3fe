"""`vtv infer` over many small pictures: interrupted again and again, then as fast as it goes, beside the engine alone.

    python -m benchmarks.bulk PICTURES INTERRUPTIONS

The engine is a simulated accelerator's: 500 pictures a second at best, as two processors can read and write about twice
as many. Prints one JSON object; fails where a picture was not answered exactly once.
"""

import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Final, cast

import numpy as np
from PIL import Image

from artifacts.console import keep_quiet
from artifacts.infer.answering import SLOT, Answering
from artifacts.infer.files import open_pictures
from artifacts.infer.manifest import NAME
from artifacts.infer.many import Request, infer_many
from artifacts.infer.steps import PictureSteps, Wanted
from artifacts.store.artifact import Artifact
from artifacts.store.open import open_store
from benchmarks.peers.simulated import SimulatedEngine, make_model, make_store
from engine.runtime import Engine

TASK: Final = "segmentation"
SIDE: Final = 128
SLOWER: Final = 16 / 3
"""Than the accelerator that servers are compared on."""
RAW_SECONDS: Final = 5.0


def main(count: int, interruptions: int) -> dict[str, Any]:
    """Answer `count` pictures with so many interruptions, half of them kills, and once more without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder)
        make_model(folder / "model")
        fill(folder / "pictures", count)
        broken = [interrupt(folder, count // (2 * interruptions), number) for number in range(interruptions)]
        work(folder, "answers")
        answered_once(folder / "answers", count)
        before = raw(folder)
        rate = work(folder, "answers-in-one-run")
        alone = (before + raw(folder)) / 2
        answered_once(folder / "answers-in-one-run", count)
    return {
        "pictures": count,
        "interrupted_after": broken,
        "each_answered_once": True,
        "raw_per_second": round(alone, 1),
        "infer_per_second": round(rate, 1),
        "ratio": round(rate / alone, 3),
    }


def interrupt(folder: Path, most: int, number: int) -> int:
    """Start the work and break it off after up to `most` more pictures, by a kill or Ctrl-C in turn; returns how many
    were done then."""
    manifest, draw = folder / "answers" / NAME, random.Random(number)
    goal = _lines(manifest) + draw.randint(1, most)
    process = Popen([sys.executable, "-m", "benchmarks.bulk", "work", str(folder), "answers"], stderr=DEVNULL)
    while _lines(manifest) < goal:
        assert process.poll() is None, "the work ended by itself"
        time.sleep(draw.uniform(0, 0.02))
    process.send_signal(signal.SIGINT if number % 2 else signal.SIGKILL)
    process.wait()
    return _lines(manifest)


def work(folder: Path, output: str) -> float:
    """Answer what is left; pictures a second of the whole."""
    request = Request(folder / "model", folder / "store", folder / "pictures", TASK, folder / output, Wanted())
    engine = SimulatedEngine(folder / "accelerator", SLOWER)
    started = time.perf_counter()
    summary = infer_many(request, keep_quiet, lambda request, artifact: answering(engine, request, artifact).answer)
    return summary.answered / (time.perf_counter() - started)


def answering(engine: SimulatedEngine, request: Request, artifact: Artifact) -> Answering:
    """As `vtv infer` does, but for the engine."""
    engine.write_slot(SLOT, artifact.vector)
    steps = PictureSteps(engine.geometry, artifact.vector.answer, request.wanted)
    same = cast(Engine, engine)  # as far as it goes here
    return Answering(same, steps, open_pictures(request.pictures), request.format, 2)


def raw(folder: Path) -> float:
    """Pictures a second of the engine alone: whole batches, two of them under way."""
    engine = SimulatedEngine(folder / "accelerator", SLOWER)
    engine.write_slot(SLOT, open_store(folder / "store").read(TASK).vector)
    side = engine.geometry.tile
    tiles = np.zeros((engine.max_batch, side, side, 3), np.uint8)
    started, done = time.perf_counter(), 0
    under_way = [engine.submit("zero_shot", tiles, [SLOT] * len(tiles))]
    while time.perf_counter() - started < RAW_SECONDS:
        under_way.append(engine.submit("zero_shot", tiles, [SLOT] * len(tiles)))
        done += len(under_way.pop(0).result())
    spent = time.perf_counter() - started
    under_way.pop().result()
    return done / spent


def fill(folder: Path, count: int) -> None:
    """JPEG files of smooth colours, a hundred kinds of them."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for index in range(min(count, 100)):
        coarse = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{index:05}.jpg", quality=90)
    for index in range(100, count):
        (folder / f"{index:05}.jpg").write_bytes((folder / f"{index % 100:05}.jpg").read_bytes())


def answered_once(output: Path, count: int) -> None:
    """Raises AssertionError."""
    lines = [json.loads(line) for line in (output / NAME).read_text().splitlines()]
    counted = Counter(line["picture"] for line in lines if line["error"] is None)
    assert len(counted) == len(lines) == count
    assert {line["output"] for line in lines} == {path.name for path in output.glob("*.png")}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    if sys.argv[1] == "work":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background work ignores it
        work(Path(sys.argv[2]), sys.argv[3])
    else:
        print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
