"""What each version of a task makes of each picture, computed offline, and whether an answer is that."""

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from artifacts.infer.steps import PictureSteps, Wanted, settings_for
from artifacts.pictures.write import encode
from artifacts.store.artifact import load_artifact
from engine.geometry import Pixels
from engine.runtime import Engine

_ROUNDING = 3
"""Gray levels between two answers to one picture that were computed in batches of other sizes."""


class Answers:
    """By a version's hash and a picture's number. `how` counts answers that were the same byte for byte, and others
    that differ by rounding."""

    def __init__(self, model: Path, backend: str, versions: Sequence[Path], pictures: Sequence[bytes]) -> None:
        """`backend` is the server's: another one's numbers differ by more than rounding where the model wavers."""
        self.how: Counter[str] = Counter()
        self._bytes: dict[tuple[str, int], set[bytes]] = {}
        self._pixels: dict[tuple[str, int], Pixels] = {}
        engine = Engine.load(model, slots=2, backend=backend)
        for path in versions:
            artifact = load_artifact(path)
            engine.write_slot(1, artifact.vector)
            wanted = Wanted()
            settings = settings_for(artifact.task, artifact.vector.answer, wanted)
            steps = PictureSteps(engine.geometry, settings, wanted)
            for number, picture in enumerate(pictures):
                prepared = steps.prepare("picture", picture)
                files = self._bytes[artifact.hash, number] = set()
                for bucket in engine.buckets:
                    tiles = np.repeat(prepared.tile[None], bucket, 0)
                    painted = steps.finish(prepared, engine.zero_shot(tiles, [1] * bucket)[0])
                    files.add(hashlib.sha256(encode(painted, "png")).digest())
                self._pixels[artifact.hash, number] = painted

    def check(self, version: str, picture: int, file: bytes) -> str | None:
        """What is wrong with a served file; None where nothing is."""
        if hashlib.sha256(file).digest() in self._bytes.get((version, picture), ()):
            self.how["the same bytes"] += 1
            return None
        wanted = self._pixels.get((version, picture))
        if wanted is None:
            return f"of a version that was never published: {version!r}"
        found = np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)
        if found.shape == wanted.shape and np.abs(found - wanted).max() <= _ROUNDING:
            self.how["another rounding"] += 1
            return None
        return f"another answer than {version[:12]} gives to picture {picture}"


def apart(answers: Answers, versions: Mapping[str, Sequence[str]]) -> bool:
    """Whether no two versions answer a picture alike, so that a crossed answer would be seen."""
    files: set[bytes] = set()
    for hashes in versions.values():
        for version in hashes:
            own = answers._bytes[version, 0]
            if files & own:
                return False
            files |= own
    return True
