"""Every method on the same draws and the same features: what it gets right, picture by picture."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.progress import Progress, Steps
from artifacts.resume import Checkpoint, work_key
from artifacts.store.residual import TaskResidual
from artifacts.taskres.labelled_features import FeatureSource, FewShots, LabelledFeatures
from artifacts.taskres.learner import Settings
from artifacts.taskres.methods.all import METHODS, settings_for
from artifacts.taskres.methods.classifier import correct


@dataclass(frozen=True)
class Cell:
    """A method at a number of shots: `right` bool [seeds,N], `seconds` of training, the mean over seeds."""

    method: str
    shots: int
    right: NDArray[np.bool_]
    seconds: float

    @property
    def accuracy(self) -> Interval:
        """Over test pictures, each with its mean over seeds."""
        return interval(self.right.mean(0))

    def ahead_of(self, other: "Cell") -> Interval:
        """Paired: this method's accuracy less another's, picture by picture, each the mean over seeds."""
        return interval(self.right.mean(0) - other.right.mean(0))


@dataclass(frozen=True)
class Comparison:
    """Cells of all methods, by shots; `test` pictures were classified."""

    cells: tuple[Cell, ...]
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    test: int

    def cell(self, method: str, shots: int) -> Cell:
        """The one of a method at a number of shots."""
        return next(own for own in self.cells if (own.method, own.shots) == (method, shots))


def compare(
    source: FeatureSource,
    base: TaskResidual,
    shots: Sequence[int],
    seeds: Sequence[int],
    settings: Settings,
    progress: Progress,
    work: Path | None = None,
) -> Comparison:
    """All of `METHODS` at every number of shots, with every seed; `work` is where an interrupted run goes on."""
    draws = {(count, seed): source.draw(count, seed) for count in shots for seed in seeds}
    test = source.test()
    kept = Checkpoint(work, _key(draws, test, base, settings))
    found: dict[str, tuple[Tensor, float]] = kept.load() or {}
    steps = Steps("comparison", len(draws) * len(METHODS), len(found), progress)
    for (count, seed), drawn in draws.items():
        for name in METHODS:
            if (entry := f"{name}/{count}/{seed}") not in found:
                found[entry] = _run(name, drawn, test, base, settings_for(settings, count, seed))
                kept.save(found)
                steps.update(f"{name}, {count} shots")
    steps.close()
    cells = tuple(_cell(found, name, count, seeds) for name in METHODS for count in shots)
    return Comparison(cells, tuple(shots), tuple(seeds), len(test))


def _run(
    name: str, shots: FewShots, test: LabelledFeatures, base: TaskResidual, settings: Settings
) -> tuple[Tensor, float]:
    started = time.perf_counter()
    classifier = METHODS[name](shots, base.base, base.scale, settings)
    seconds = time.perf_counter() - started
    return correct(classifier, test), seconds


def _cell(found: dict[str, tuple[Tensor, float]], name: str, shots: int, seeds: Sequence[int]) -> Cell:
    entries = [found[f"{name}/{shots}/{seed}"] for seed in seeds]
    right = np.stack([right.numpy() for right, _ in entries])
    return Cell(name, shots, right, float(np.mean([seconds for _, seconds in entries])))


def _key(draws: dict[tuple[int, int], FewShots], test: LabelledFeatures, base: TaskResidual, settings: Settings) -> str:
    """Of all that decides the numbers, the features among it."""
    sums = [float(own.train.features.double().sum()) for own in draws.values()]
    about = {"draws": sums, "test": float(test.features.double().sum()), "base": float(base.base.double().sum())}
    return work_key({**about, "keys": [*map(str, draws)], "scale": base.scale, "settings": asdict(settings)})
