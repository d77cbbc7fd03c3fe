"""`vtv infer` of a classification task: which class a picture shows, without a server."""

from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import middle_square
from artifacts.store.residual import ResidualArtifact
from engine.classification import Precision
from engine.classification.head import scores
from engine.encoder import Encoder
from engine.towers.folder import load_tower, read_fingerprint

Ranking = list[tuple[str, float]]


def classify_file(tower: Path, artifact: ResidualArtifact, image: Path, precision: Precision) -> Ranking:
    """All classes of a task with their softmax scores, best first. Raises OfflineError for a tower that the task was
    not made for."""
    mark, wanted = read_fingerprint(tower), artifact.value.tower
    if mark != wanted:
        raise OfflineError(f"{artifact.task} was made for image tower {wanted[:12]}, {tower} is {mark[:12]}")
    encoder, head = Encoder(load_tower(tower), precision), artifact.value.head()
    pixels = read_file(image, encoder.tower.shorter_edge)
    square = middle_square(pixels, encoder.tower.size, encoder.tower.shorter_edge)
    found = scores(encoder.features(square[None]), head.matrix, head.scale)[0].tolist()
    return sorted(zip(head.labels, found, strict=True), key=lambda pair: -pair[1])
