"""`vtv teach` with class folders: a classification task from a handful of pictures a class.

A third of each class's pictures is held out and judges the task; the residual is learnt from the others. The base is of
the class names where the tower has texts for them, else of the pictures' own mean features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from artifacts.errors import DatasetError, OfflineError
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.progress import Progress
from artifacts.stages import Stages
from artifacts.store.address import StoreAddress
from artifacts.store.file import check_name
from artifacts.store.open import open_store
from artifacts.store.residual import ResidualArtifact, TaskResidual, save_residual
from artifacts.taskres.base import base_of
from artifacts.taskres.features import FeatureCache
from artifacts.taskres.labelled import Labelled
from artifacts.taskres.labelled_features import LabelledFeatures
from artifacts.taskres.learner import Settings, learn, usual_epochs
from artifacts.taskres.open_texts import open_texts
from artifacts.taskres.task import describe, sentence
from artifacts.taskres.templates import TEMPLATES
from artifacts.taskres.train import accuracy_metric, right_answers
from engine.errors import EngineError
from engine.towers.folder import read_fingerprint

STAGES = ("read pictures", "learn", "judge")
HELD_OUT = 3
"""One picture of so many judges."""
FEWEST = 2
"""Pictures of a class: one to learn from, one to judge on."""
SCALE = 20.0
"""Of cosines with mean features."""
NAMES_ALONE, COMMONEST = "class names alone", "the commonest class"
PICTURES_ALONE = "mean pictures alone"


@dataclass(frozen=True)
class TaughtClasses:
    """A task with its metadata; its accuracy, and that of what needs no learning, on the same held-out pictures."""

    value: TaskResidual
    metadata: dict[str, str]
    accuracy: Interval
    floors: dict[str, float]

    @property
    def better(self) -> bool:
        """Whether it is better than guessing, and no worse than its base."""
        base, commonest = self.floors.values()
        return self.accuracy.mean > commonest and self.accuracy.mean >= base


def teach_classes(
    cache: FeatureCache, tower: Path, name: str, pictures: Labelled, progress: Progress, seed: int = 0
) -> TaughtClasses:
    """Learn a task of pictures in classes, through the tower in a folder. Raises OfflineError."""
    check_name(name)
    check_classes(pictures)
    stages = Stages(name, STAGES, progress)
    stages.begin(STAGES[0])
    features = LabelledFeatures(cache.features(pictures.files, progress), torch.tensor(pictures.labels))
    own, judges = hold_out(pictures.labels, seed)
    stages.begin(STAGES[1])
    train, test = (_rows(features, rows) for rows in (own, judges))
    alone, base = _base(tower, pictures.names, train, progress)
    shots = -(-len(own) // len(pictures.names))
    settings = Settings(epochs=usual_epochs(shots), seed=seed)
    learned = learn(train.features, train.labels, base.base, base.scale, settings)
    value = TaskResidual(base.base, learned.residual, learned.alpha, base.scale, base.labels, base.tower)
    stages.begin(STAGES[2])
    right = _judge(name, value, test)
    accuracy = interval(right.astype(np.float64))
    commonest = float(torch.bincount(test.labels).max()) / len(test)
    floors = {alone: float(right_answers(base, test).mean()), COMMONEST: commonest}
    beside = ", ".join(f"{floor} {share:.3f}" for floor, share in floors.items())
    progress(f"{name}: accuracy {accuracy} on {len(judges)} pictures held out; {beside}")
    told, metric = sentence(value.labels), _metric(right, cache.encoder.precision, floors)
    metadata = describe(name, "task residual", shots, seed, f"{len(pictures)} pictures", told, metric)
    return TaughtClasses(value, metadata, accuracy, floors)


def _judge(name: str, value: TaskResidual, test: LabelledFeatures) -> NDArray[np.bool_]:
    try:
        return right_answers(value, test)
    except EngineError as error:  # pictures that look all alike make no head
        raise DatasetError(f"{name} is not published: {error}; give pictures that differ between classes") from error


def check_classes(pictures: Labelled) -> None:
    """Raise DatasetError for fewer than two classes, or for a class with fewer pictures than `FEWEST`."""
    if len(pictures.names) < 2:
        raise DatasetError(f"teach needs 2 classes or more, not {len(pictures.names)}")
    for label, name in enumerate(pictures.names):
        if pictures.labels.count(label) < FEWEST:
            raise DatasetError(f"class {name!r} needs {FEWEST} pictures or more: some are held out to judge the task")


def hold_out(labels: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    """Rows to learn from and rows to judge on: of each class a third, rounded down, but one at least, is held out."""
    draw, own, judges = np.random.default_rng(seed), list[int](), list[int]()
    for label in sorted(set(labels)):
        rows = [int(row) for row in draw.permutation(np.flatnonzero(np.array(labels) == label))]
        held = max(1, len(rows) // HELD_OUT)
        judges += rows[:held]
        own += rows[held:]
    return own, judges


def refusal(taught: TaughtClasses) -> str:
    """Why a task is not published, in a line."""
    beside = " and ".join(f"{share:.3f} ({floor})" for floor, share in taught.floors.items())
    return (
        f"{taught.metadata['task']} is not published: accuracy {taught.accuracy.mean:.3f} is no better than {beside}; "
        "give more pictures, or --force"
    )


def publish(taught: TaughtClasses, store: StoreAddress) -> ResidualArtifact:
    """Publish into a store under the task's name."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "taught.safetensors"
        save_residual(path, taught.value, taught.metadata)
        return open_store(store).publish_residual(path, taught.value.tower)


def _base(tower: Path, names: tuple[str, ...], train: LabelledFeatures, progress: Progress) -> tuple[str, TaskResidual]:
    """With what it is called when it stands alone."""
    try:
        return NAMES_ALONE, open_texts(tower).base(names, TEMPLATES["default"])
    except OfflineError as error:
        progress(f"the base is of mean pictures, not of class names: {error}")
    means = [train.features[train.labels == label].mean(0) for label in range(len(names))]
    return PICTURES_ALONE, base_of(torch.stack(means), SCALE, names, read_fingerprint(tower))


def _rows(features: LabelledFeatures, rows: list[int]) -> LabelledFeatures:
    return LabelledFeatures(features.features[rows], features.labels[rows])


def _metric(right: NDArray[np.bool_], precision: str, floors: dict[str, float]) -> dict[str, object]:
    beside = {name.replace(" ", "_"): round(share, 4) for name, share in floors.items()}
    return accuracy_metric(right, precision, f"{len(right)} pictures held out") | beside
