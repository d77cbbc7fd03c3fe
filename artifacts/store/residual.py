"""The artifact of a classification task: one safetensors file, identified by its SHA-256.

`base` and `residual`, [K,D] in float32, or in float16 where that holds them exactly, as a residual of zeros; the rest
is metadata, all of it text: `labels` is a JSON list in the order of rows, `alpha` and `scale` are numbers, `tower` is
the fingerprint of the image encoder.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from artifacts.errors import ArtifactError
from artifacts.store.artifact import Artifact
from artifacts.store.file import check_entries, file_hash, read_artifact, write_artifact
from artifacts.store.strict_json import strict_json
from engine.classification.head import Head, make_head
from engine.errors import EngineError

SCHEMA, KIND = "vtv-task-residual-1", "classification"
TENSORS = ("base", "residual")
STORED = {torch.float32, torch.float16}
REQUIRED = (
    "schema",
    "kind",
    "task",
    "tower",
    "labels",
    "alpha",
    "scale",
    "method",
    "shots",
    "seed",
    "dataset",
    "metric",
    "created",
    "code",
)


@dataclass(frozen=True)
class TaskResidual:
    """Base and residual [K,D] with what makes a head of them."""

    base: Tensor
    residual: Tensor
    alpha: float
    scale: float
    labels: tuple[str, ...]
    tower: str

    def head(self) -> Head:
        """As it is served; raises EngineError."""
        return make_head(self.base, self.residual, self.alpha, self.scale, self.labels, self.tower)

    def rows(self, names: tuple[str, ...]) -> "TaskResidual":
        """Of these classes alone, found by name; raises ArtifactError that names the first it lacks."""
        for name in names:
            if name not in self.labels:
                raise ArtifactError(
                    f"class {name!r} is none of the task's {len(self.labels)}: a residual knows only its own classes"
                )
        rows = [self.labels.index(name) for name in names]
        return TaskResidual(self.base[rows], self.residual[rows], self.alpha, self.scale, names, self.tower)


@dataclass(frozen=True)
class ResidualArtifact:
    """A classification task with what is known about it."""

    hash: str
    task: str
    value: TaskResidual
    metadata: dict[str, str]

    @property
    def description(self) -> str:
        """What the task does, in a sentence."""
        return self.metadata.get("description", "")


AnyArtifact = Artifact | ResidualArtifact


def save_residual(path: Path, value: TaskResidual, metadata: dict[str, str]) -> str:
    """Write a task residual and return its hash; raises ArtifactError, EngineError for what could not be served."""
    value.head()
    own = {
        "schema": SCHEMA,
        "kind": KIND,
        "tower": value.tower,
        "labels": json.dumps(value.labels, ensure_ascii=False),
        "alpha": repr(value.alpha),
        "scale": repr(value.scale),
    }
    tensors = {"base": _smallest(value.base), "residual": _smallest(value.residual)}
    return write_artifact(path, tensors, metadata | own, REQUIRED)


def _smallest(rows: Tensor) -> Tensor:
    whole, half = rows.float(), rows.half()
    return (half if torch.equal(half.float(), whole) else whole).contiguous()


def load_residual(path: Path, tower: str | None = None) -> ResidualArtifact:
    """Read and check a file; with `tower`, refuse one made for another image encoder. Raises ArtifactError."""
    metadata, tensors = read_artifact(path, TENSORS, lambda found: _check_metadata(path, found, tower))
    base, residual = (tensors[name] for name in TENSORS)
    if not {base.dtype, residual.dtype} <= STORED:
        raise ArtifactError(
            f"{path.name}: base and residual are float32 or float16, not {base.dtype} and {residual.dtype}"
        )
    base, residual = base.float(), residual.float()
    value = TaskResidual(base, residual, *_numbers(path, metadata), _labels(path, metadata), metadata["tower"])
    try:
        value.head()
    except EngineError as error:
        raise ArtifactError(f"{path.name}: {error}") from None
    return ResidualArtifact(file_hash(path), metadata["task"], value, metadata)


def _check_metadata(path: Path, metadata: dict[str, str], tower: str | None) -> None:
    if metadata.get("schema") != SCHEMA:
        raise ArtifactError(f"{path.name} has schema {metadata.get('schema')!r}, not {SCHEMA}")
    check_entries(path, metadata, REQUIRED)
    if tower is not None and metadata["tower"] != tower:
        raise ArtifactError(f"{path.name} was made for tower {metadata['tower'][:12]}, this one is {tower[:12]}")


def _numbers(path: Path, metadata: dict[str, str]) -> tuple[float, float]:
    try:
        alpha, scale = float(metadata["alpha"]), float(metadata["scale"])
    except ValueError:
        raise ArtifactError(f"{path.name}: alpha and scale are no numbers") from None
    return alpha, scale


def _labels(path: Path, metadata: dict[str, str]) -> tuple[str, ...]:
    try:
        labels = strict_json(metadata["labels"])
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ArtifactError(f"{path.name}: labels are no list of class names")
    return tuple(labels)
