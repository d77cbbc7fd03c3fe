"""A teach job's process: `python -m service.teach.worker FOLDER MODEL DEVICE MAX_PIXELS NAME FORCE PRECISION CACHE`.

FOLDER holds the pairs, and gets the artifact. What it has to say goes to standard output, a JSON object a line:
`{"stage", "progress"}` on the way, then `{"error"}` or `{"artifact", "metric"}`. It runs at a low priority, and
ends when standard input closes, as it does when the server is gone.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from artifacts.errors import OfflineError
from engine.errors import EngineError

if TYPE_CHECKING:
    from artifacts.stages import Follower
    from engine.classification import Precision

ARTIFACT: Final = "taught.safetensors"
LABELS: Final = "labels.json"
"""The class of each input, where the lesson is of classes."""
_NO_PACKAGES: Final = "This server cannot teach: it was installed without the packages of the offline job."
_NICENESS: Final = 10
"""Less than serving, and still a tenth of a core that serving would take whole."""


def main() -> None:
    """Teach, and leave the artifact in the folder."""
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    os.nice(_NICENESS)
    torch.set_num_threads(1)
    folder, learner, device, max_pixels, name, force, precision, cache = sys.argv[1:]
    lesson = Path(folder), int(max_pixels), name, force == "force"
    try:
        if (Path(folder) / LABELS).is_file():
            _say(_classes(*lesson, Path(learner), "bfloat16" if precision == "bfloat16" else "float32", Path(cache)))
        else:
            _say(_pairs(*lesson, Path(learner), device))
    except ModuleNotFoundError:
        _say({"error": _NO_PACKAGES})
    except (OfflineError, EngineError) as error:
        _say({"error": str(error).replace(f"{folder}{os.sep}", "")})


def _pairs(folder: Path, max_pixels: int, name: str, force: bool, path: Path, device: str) -> dict[str, Any]:
    # A server without the packages of the offline job starts all the same, and says so here.
    from artifacts.data.pairs import load_pairs
    from artifacts.job import frozen_model
    from artifacts.pictures.limits import PictureLimits
    from artifacts.store.artifact import save_artifact
    from artifacts.teach import refusal, teach

    model, fingerprint = frozen_model(path, device)
    pairs = load_pairs(folder, model.geometry.cell, PictureLimits(max_pixels))
    taught = teach(model, fingerprint, name, pairs, _follower())
    if taught.better or force:
        save_artifact(folder / ARTIFACT, taught.vector, taught.metadata)
    return _result(folder, taught.metadata, refusal(taught))


def _classes(
    folder: Path, max_pixels: int, name: str, force: bool, tower: Path, precision: "Precision", kept: Path
) -> dict[str, Any]:
    from artifacts.data.pairs import INPUT
    from artifacts.pictures.limits import PictureLimits
    from artifacts.store.residual import save_residual
    from artifacts.taskres.features import FeatureCache
    from artifacts.taskres.labelled import of_labels
    from artifacts.taskres.teach import refusal, teach_classes
    from engine.encoder import Encoder
    from engine.towers.folder import load_tower

    files = sorted((folder / INPUT).iterdir(), key=lambda file: int(file.stem))
    pictures = of_labels(files, json.loads((folder / LABELS).read_text()))
    encoder = Encoder(load_tower(tower), precision, kept)
    cache = FeatureCache(encoder, folder / "features", PictureLimits(max_pixels))
    taught = teach_classes(cache, tower, name, pictures, _follower())
    if taught.better or force:
        save_residual(folder / ARTIFACT, taught.value, taught.metadata)
    return _result(folder, taught.metadata, refusal(taught))


def _result(folder: Path, metadata: dict[str, str], refusal: str) -> dict[str, Any]:
    """What is told of a task that was learnt: its file, or why there is none."""
    metric = json.loads(metadata["metric"])
    if (folder / ARTIFACT).exists():
        return {"artifact": ARTIFACT, "metric": metric}
    return {"error": refusal.replace("--force", "force=true"), "metric": metric}


def _follower() -> "Follower":
    from artifacts.stages import Follower

    return Follower(lambda stage, progress: _say({"stage": stage, "progress": round(progress, 3)}))


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _end_with_the_server() -> None:
    while os.read(0, 1024):  # not by sys.stdin, whose lock a thread would still hold at an orderly end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
