"""Class vectors for a tower that has no text encoder: sentence vectors, mapped by ridge regression onto its classifier.

A stand-in for CLIP. The tower was trained as a classifier of named classes; the map is fitted from each name's
sentence vector to that class's row, and then applied to names that the classifier never had.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from artifacts.errors import OfflineError
from engine.classification.head import check_labels, unit
from engine.errors import EngineError

FILE, SCHEMA = "texts.safetensors", "vtv-text-map-1"
TENSORS = ("rows", "text_mean", "weight")
RIDGE = 1.0
"""Chosen by five-fold cross-validation over the classes: .3 to 3 find the right row equally often."""


@dataclass(frozen=True)
class TextMap:
    """`rows` float32 [K,D], the classifier's own, centred, one for each of `labels`; and the map for other names.

    A sentence vector e [E] less `text_mean`, times `weight` [E,D], is a class vector.
    `scale` is the factor on the cosines at which about the classifier's own probabilities come out. `tower` is the
    tower's fingerprint.
    """

    rows: Tensor
    text_mean: Tensor
    weight: Tensor
    labels: tuple[str, ...]
    scale: float
    tower: str

    def mapped(self, hidden: Tensor) -> Tensor:
        """Class vectors [N,D] at the rows' mean norm, of sentence vectors less their mean [N,E]."""
        rows: Tensor = unit(hidden @ self.weight) * self.rows.norm(dim=1).mean()
        return rows


def fit(vectors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [E] and weight [E,D] of the ridge regression from sentence vectors [K,E] to centred rows [K,D]."""
    mean = vectors.double().mean(0)
    x = vectors.double() - mean
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    return mean.float(), torch.linalg.solve(gram, x.T @ rows.double()).float()


def found_share(vectors: Tensor, rows: Tensor, folds: int = 5, seed: int = 0) -> float:
    """How often the mapped vector of a class that was not fitted on is nearest to its own row, among a fold's rows."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    hits = 0
    for held in order.chunk(folds):
        fitted = order[~torch.isin(order, held)]
        mean, weight = fit(vectors[fitted], rows[fitted])
        cosines = unit((vectors[held] - mean) @ weight) @ unit(rows[held]).T
        hits += int((cosines.argmax(1) == torch.arange(len(held))).sum())
    return hits / len(rows)


def save_text_map(text_map: TextMap, folder: Path) -> None:
    """Write it beside a tower, in half precision."""
    tensors = {name: getattr(text_map, name).half().contiguous() for name in TENSORS}
    metadata = {
        "schema": SCHEMA,
        "tower": text_map.tower,
        "labels": json.dumps(text_map.labels, ensure_ascii=False),
        "scale": repr(text_map.scale),
    }
    save_file(tensors, folder / FILE, metadata)
    (folder / FILE).chmod(0o644)  # the library makes it the owner's alone


def load_text_map(folder: Path, tower: str) -> TextMap:
    """That of a tower's folder; raises OfflineError where there is none, or one of another tower."""
    path = folder / FILE
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in TENSORS}
        labels = tuple(json.loads(metadata["labels"]))
        text_map = TextMap(**tensors, labels=labels, scale=float(metadata["scale"]), tower=metadata["tower"])
        check_labels(labels, text_map.rows)
    except FileNotFoundError:
        raise OfflineError(f"the tower at {folder} has no class texts: {FILE} is missing") from None
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, EngineError) as error:
        raise OfflineError(f"{path} is no text map: {error}") from None
    if metadata["schema"] != SCHEMA or text_map.tower != tower:
        raise OfflineError(f"{path} is not of this tower: it has schema {metadata['schema']}, {text_map.tower[:12]}")
    return text_map
