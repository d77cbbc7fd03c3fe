"""`vtv infer` of a classification task: which class a picture shows, without a server."""

from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.pictures.read import read_file
from artifacts.pictures.resize import middle_square
from artifacts.store.residual import ResidualArtifact
from artifacts.taskres.features import forward
from engine.classification.head import scores
from engine.towers.folder import load_tower, read_fingerprint

Ranking = list[tuple[str, float]]


def classify_file(tower: Path, artifact: ResidualArtifact, image: Path) -> Ranking:
    """All classes of a task with their softmax scores, best first. Raises OfflineError for a tower that the task was
    not made for."""
    mark, wanted = read_fingerprint(tower), artifact.value.tower
    if mark != wanted:
        raise OfflineError(f"{artifact.task} was made for image tower {wanted[:12]}, {tower} is {mark[:12]}")
    encoder, head = load_tower(tower), artifact.value.head()
    square = middle_square(read_file(image), encoder.size, encoder.shorter_edge)
    found = scores(forward(encoder, square[None]), head.matrix, head.scale)[0].tolist()
    return sorted(zip(head.labels, found, strict=True), key=lambda pair: -pair[1])
