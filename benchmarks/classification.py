"""`vtv bench classification`: what classification tasks cost, and what they give beside the painted ones.

Every figure is a ratio of two loads that took turns on one server, or of two calls that took turns in one process.
What many tasks cost over one is measured on random heads. What classification gives beside painting is measured on the
bundled tasks of both kinds and the same photographs, since how long an answer takes may depend on how sure it is.
"""

import json
import shutil
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch

from artifacts.console import say
from artifacts.paths import BUNDLED_DEMO, BUNDLED_STORE, BUNDLED_TOWERS
from artifacts.provenance import made_now
from artifacts.store.folder import Store
from artifacts.store.residual import TaskResidual, save_residual
from benchmarks.engine import interleave
from benchmarks.generators import closed_loop, run
from benchmarks.sample import SAMPLE_PICTURE, picture_file
from benchmarks.server_process import running_server
from benchmarks.summary import summarise
from benchmarks.traffic import Mix, infer_mix, raw_request, with_hole
from engine.classification.head import Head, unit
from engine.classifier import Classifier
from engine.device import best_device, describe
from engine.tower_plan import TowerPlan
from engine.towers.folder import TowerAbout, read_about

_BOUND_MS: Final = 250.0
_PHOTOGRAPHS: Final = BUNDLED_DEMO / "JPEGImages"
_EVERY: Final = 10
"""Of the demonstration's photographs one in so many is sent."""
_SPARE_SLOTS: Final = 16
"""For the no-op and the painted tasks."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One kind of load through HTTP: requests a second, of each turn and their median, and the median's latency."""

    requests_per_second: float
    turns: list[float]
    p50_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """`engine_cost`: a batch of as many tasks as rows over a batch of one task, less 1; `http_cost` the same of
    requests through HTTP; `over_painted`: the bundled classification tasks' requests over the painted tasks'."""

    tasks: int
    classes: int
    engine_ms: dict[str, float]
    engine_cost: float
    http: dict[str, Rate]
    http_cost: float
    over_painted: float
    about: dict[str, Any]


def main(asked: Namespace) -> int:
    """The command. Returns 0."""
    with TemporaryDirectory(prefix="vtv-bench-") as folder:
        report = bench(asked, Path(folder))
    told = json.dumps(asdict(report), indent=2)
    if asked.output:
        asked.output.write_text(told + "\n")
    print(json.dumps(asdict(report)) if asked.json else table(report))
    return 0


def bench(asked: Namespace, folder: Path) -> Report:
    """Measure both; `folder` takes the store."""
    about = read_about(asked.tower)
    slots = asked.tasks + _SPARE_SLOTS
    classifier = TowerPlan(
        asked.tower,
        slots=slots,
        classes=asked.classes,
        backend=asked.backend,
        device=best_device(),
        lean=True,  # as a server's: torch, which has the heads left, on one thread
        precision="bfloat16",
    ).build(say)
    classifier.warm_up()
    batch = classifier.spec.buckets[-1]
    spent = interleave(_calls(classifier, asked.tasks, asked.classes, batch), asked.seconds)
    engine = {name: 1e3 * float(np.median(times)) for name, times in spent.items()}
    named = f"{describe(classifier.spec.device)}, {classifier.backend.name}, {torch.get_num_threads()} threads"
    del classifier
    names = _publish(folder / "store", about, asked.tasks, asked.classes)
    settings = {"VTV_SLOTS": str(slots), "VTV_MAX_CLASSES": str(asked.classes), "VTV_TOWER": str(asked.tower)}
    with running_server(None, folder / "store", asked.backend, settings) as url:
        http = _rates(url, names, asked)
    one, many = (http[name].requests_per_second for name in ("one task", "all tasks"))
    return Report(
        asked.tasks,
        asked.classes,
        engine,
        engine["all tasks"] / engine["one task"] - 1,
        http,
        one / many - 1,
        http["classified"].requests_per_second / http["painted"].requests_per_second,
        {"machine": named, "batch": batch, "clients": asked.clients, "seconds": asked.seconds},
    )


def _calls(classifier: Classifier, tasks: int, classes: int, batch: int) -> dict[str, Callable[[], object]]:
    tower = classifier.tower
    generator = torch.Generator().manual_seed(0)
    labels = tuple(f"class {number}" for number in range(classes))
    for slot in range(1, tasks + 1):
        matrix = unit(torch.randn(classes, tower.width, generator=generator))
        classifier.write_slot(slot, Head(matrix, 100.0, labels, tower.fingerprint))
    pictures = np.random.default_rng(0).integers(0, 256, (batch, tower.size, tower.size, 3), np.uint8)
    turn = [0]

    def mixed() -> object:
        turn[0] += batch
        return classifier.submit(pictures, [1 + (turn[0] + row) % tasks for row in range(batch)]).result()

    return {"one task": lambda: classifier.submit(pictures, [1] * batch).result(), "all tasks": mixed}


def _publish(root: Path, tower: TowerAbout, tasks: int, classes: int) -> list[str]:
    """A copy of the bundled store with random classification tasks beside; their names."""
    shutil.copytree(BUNDLED_STORE, root)
    store, names = Store(root), [f"bench-{number}" for number in range(tasks)]
    labels = tuple(f"class {number}" for number in range(classes))
    generator = torch.Generator().manual_seed(0)
    for name in names:
        base = torch.randn(classes, tower.width, generator=generator)
        value = TaskResidual(base, torch.zeros_like(base), 1.0, 100.0, labels, tower.fingerprint)
        known = dict.fromkeys(("method", "shots", "seed", "dataset"), "none") | {"metric": "null"} | made_now()
        save_residual(root / "made", value, known | {"task": name})
        store.publish_residual(root / "made")
    (root / "made").unlink()
    return names


def _rates(url: str, names: Sequence[str], asked: Namespace) -> dict[str, Rate]:
    image = with_hole(picture_file(SAMPLE_PICTURE))
    photographs = [picture_file(path) for path in sorted(_PHOTOGRAPHS.iterdir())[::_EVERY]]
    painted = dict.fromkeys((artifact.task for artifact in Store(BUNDLED_STORE).painted()), 1.0)
    # Of a tower of one's own the bundled tasks are not.
    own = Path(asked.tower) != BUNDLED_TOWERS / "lite0"
    classified = dict.fromkeys(names[:1] if own else set(Store(BUNDLED_STORE).names()) - painted.keys(), 1.0)
    asks = [(raw_request(url, f"/infer?task={name}", image), 1.0) for name in names]
    mixes = {
        "painted": infer_mix(url, painted, [(with_hole(file), 1.0) for file in photographs], "auto"),
        "classified": infer_mix(url, classified, [(file, 1.0) for file in photographs], "auto"),
        "one task": Mix(asks[:1]),
        "all tasks": Mix(asks),
    }
    for mix in mixes.values():
        run(closed_loop(url, mix, asked.clients, 1.0))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in mixes}
    for turn in range(asked.turns):
        say(f"turn {turn + 1} of {asked.turns}")
        for name, mix in mixes.items():
            row = summarise([run(closed_loop(url, mix, asked.clients, asked.seconds))], _BOUND_MS, asked.clients)
            found[name].append((row.requests_per_second, row.percentile("p50")))
    return {
        name: Rate(float(np.median([rate for rate, _ in rows])), [rate for rate, _ in rows],
                   float(np.median([latency for _, latency in rows])))
        for name, rows in found.items()
    }  # fmt: skip


def table(report: Report) -> str:
    """For a terminal."""
    about = report.about
    lines = [about["machine"], f"{report.tasks} classification tasks of {report.classes} classes", ""]
    lines += [f"batch of {about['batch']}, {name:10} {spent:9.2f} ms" for name, spent in report.engine_ms.items()]
    lines += [f"cost of all tasks over one: {report.engine_cost:+.1%}", ""]
    for name, rate in report.http.items():
        lines.append(f"HTTP, {about['clients']} clients, {name:10} {rate.requests_per_second:8.1f} requests/s, "
                     f"p50 {rate.p50_ms:.1f} ms")  # fmt: skip
    lines += [f"cost of all tasks over one: {report.http_cost:+.1%}"]
    lines += [f"the bundled classification tasks over the painted ones: {report.over_painted:.2f} x"]
    return "\n".join(lines)
