"""`vtv bench ray`: what a Ray cluster of 1 to 8 workers does of `vtv infer` and of a search, over what one does.

The model's time is simulated by sleeping, so that two processors carry eight workers. All else is the product's: pieces
dealt out and answered, files read, decoded, encoded and written. What a sample takes beyond the simulated time is
overhead. Rates count from when every worker is at work until the first has nothing left to do.
"""

import json
import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import ray
import torch
from ray.cluster_utils import Cluster as LocalCluster

from artifacts.cluster import join
from artifacts.console import keep_quiet, say
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.infer.answering import SLOT, Answered, Answering
from artifacts.infer.cluster import BATCHES, answering_on
from artifacts.infer.files import PictureFiles
from artifacts.infer.many import Answer, Request, infer_many
from artifacts.infer.steps import PictureSteps, Wanted
from artifacts.pieces.cluster import Cluster
from artifacts.search.run import Search
from artifacts.search.settings import method_settings
from artifacts.store.artifact import Artifact
from artifacts.tasks import TASKS
from benchmarks.bulk import fill
from benchmarks.peers.accelerator import FIXED_SECONDS, IMAGE_SECONDS
from benchmarks.peers.simulated import SimulatedEngine, make_model, make_store, small_model
from benchmarks.search import random_values
from engine.model import MaeVqgan
from engine.runtime import Engine

R = TypeVar("R")
BATCH: Final = 1
"""Of the simulated engine: with small parts, the end of a run is short."""
PARTS: Final = 12
"""Of pictures, for each worker."""
SAMPLES: Final = 64
"""Of a search step: four pieces. A cluster of N takes N steps of each task, after one that does not count."""
TASK: Final = "segmentation"


@dataclass(frozen=True, slots=True)
class Row:
    """`work` on `workers`: samples a second, of one worker; that over what a cluster of one does; and what a sample
    takes a worker beyond the simulated time, and the driver's processor, in ms."""

    work: str
    workers: int
    per_second: float
    of_one: float
    ratio: float
    overhead_ms: float
    driver_ms: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Samples a second, and seconds of the driver's processor for each."""

    rate: float
    driver: float


def main(asked: Namespace) -> int:
    """The command; returns 0."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    torch.set_num_threads(1)
    rows = bench(asked.workers, asked.ms / 1e3)
    report = {"ms": asked.ms, "rows": [asdict(row) for row in rows]}
    if asked.output:
        asked.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if asked.json else table(rows))
    return 0


def bench(counts: Sequence[int], seconds: float) -> list[Row]:
    """Both kinds of work on clusters of so many workers, the first of which the others are set against. A sample takes
    the model `seconds`."""
    rows: list[Row] = []
    for work, measure in (("infer", infer), ("search", search)):
        first = 0.0
        for workers in counts:
            with cluster(workers) as address:
                found = measure(address, workers, seconds)
            each = found.rate / workers
            first = first or each
            overhead = 1 / each - seconds
            rows.append(Row(work, workers, found.rate, each, each / first, 1e3 * overhead, 1e3 * found.driver))
            say(f"{work} on {workers}: {found.rate:.1f} a second")
    return rows


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of one on this machine, with a processor for each worker, whatever the machine has."""
    limits = {"object_store_memory": 200 * 2**20, "include_dashboard": False}
    local = LocalCluster(initialize_head=True, head_node_args={"num_cpus": workers, **limits})
    try:
        yield local.address
    finally:
        ray.shutdown()
        local.shutdown()


def infer(address: str, workers: int, seconds: float) -> Measured:
    """`vtv infer --ray` over small JPEG files."""
    part = BATCHES * BATCH
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder)
        make_model(folder / "model")
        fill(folder / "pictures", PARTS * part * workers)
        (folder / "ready").mkdir()
        (folder / "setting.json").write_text(json.dumps({"workers": workers, "seconds": seconds}))
        request = Request(folder / "model", folder / "store", folder / "pictures", TASK, folder / "out", Wanted())
        answering, times = answering_on(address, simulated), list[tuple[float, float]]()

        def noted(request: Request, artifact: Artifact) -> Answer:
            answer = answering(request, artifact)

            def answers(names: list[str]) -> Iterator[Answered]:
                for answered in answer(names):
                    yield answered
                    times.append((time.perf_counter(), time.process_time()))

            return answers

        infer_many(request, keep_quiet, noted)
    inner = times[workers * part - 1 : -workers * part]  # all are at work
    (started, spent), (ended, spent_then) = inner[0], inner[-1]
    return Measured((len(inner) - 1) / (ended - started), (spent_then - spent) / (len(inner) - 1))


def simulated(request: Request, artifact: Artifact, files: PictureFiles, threads: int) -> Answering:
    """In a worker: its own accelerator, once all workers are ready."""
    folder = request.model.parent
    setting = json.loads((folder / "setting.json").read_text())
    slower = BATCH * setting["seconds"] / (FIXED_SECONDS + BATCH * IMAGE_SECONDS)
    engine = SimulatedEngine(folder / "ready" / str(os.getpid()), slower, BATCH)
    while len(list((folder / "ready").iterdir())) < setting["workers"]:
        time.sleep(0.02)
    engine.write_slot(SLOT, artifact.vector)
    steps = PictureSteps(engine.geometry, artifact.vector.answer, request.wanted)
    return Answering(cast(Engine, engine), steps, files, request.format, threads)


def search(address: str, workers: int, seconds: float) -> Measured:
    """The published tasks at once, as `vtv build --ray` searches."""
    join(address)
    model, fingerprint = small_model()
    pieces, values, train = PacedCluster(seconds, model, fingerprint), random_values(model), _episodes()
    settings = method_settings("reinforce", published=True, samples=SAMPLES)
    searches = [Search(model, task, values, settings, pieces) for task in TASKS.values()]
    with ThreadPoolExecutor(len(searches)) as at_once:
        list(at_once.map(lambda each: each.step(train), searches))
        before = sum(each.evaluations for each in searches)
        started, spent = time.perf_counter(), time.process_time()
        list(at_once.map(lambda each: [each.step(train) for _ in range(workers)], searches))
        took, spent = time.perf_counter() - started, time.process_time() - spent
    samples = sum(each.evaluations for each in searches) - before
    return Measured(samples / took, spent / samples)


class PacedCluster(Cluster):
    """Whose workers take the simulated `seconds` for each row."""

    def __init__(self, seconds: float, model: MaeVqgan, fingerprint: str) -> None:
        super().__init__(model, fingerprint, "cpu")
        self._seconds = seconds

    def map(self, work: Callable[..., R], shared: Sequence[Any], pieces: Sequence[Any]) -> list[R]:
        return super().map(paced, (self._seconds, work, *shared), pieces)


def paced(model: MaeVqgan, seconds: float, work: Callable[..., R], *given: Any) -> R:
    """In a worker."""
    until = time.perf_counter() + seconds * len(given[-1][0])
    found = work(model, *given)
    time.sleep(max(0.0, until - time.perf_counter()))
    return found


def _episodes() -> Episodes:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 111, 111, 3), np.uint8)
    return make_episodes(Scenes(pictures, np.ones((12, 111, 111), np.uint8)), TASKS[TASK], 12, 0)


def table(rows: Sequence[Row]) -> str:
    """For people."""
    lines = [f"{'':8}{'workers':>8}{'a second':>10}{'of one':>8}{'ratio':>7}{'overhead ms':>13}{'driver ms':>11}"]
    lines += [
        f"{r.work:8}{r.workers:>8}{r.per_second:>10.1f}{r.of_one:>8.2f}{r.ratio:>7.3f}{r.overhead_ms:>13.2f}"
        f"{r.driver_ms:>11.2f}"
        for r in rows
    ]
    return "\n".join(lines)
