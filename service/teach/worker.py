"""A teach job's process: `python -m service.teach.worker FOLDER MODEL DEVICE MAX_PIXELS NAME FORCE`.

FOLDER holds the pairs, and gets the artifact. What it has to say goes to standard output, a JSON object a line:
`{"stage", "progress"}` on the way, then `{"error"}` or `{"artifact", "metric"}`. It runs at a low priority, and
ends when standard input closes, as it does when the server is gone.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

import torch

from artifacts.errors import OfflineError

ARTIFACT: Final = "taught.safetensors"
_NO_PACKAGES: Final = "This server cannot teach: it was installed without the packages of the offline job."
_NICENESS: Final = 10
"""Less than serving, and still a tenth of a core that serving would take whole."""


def main() -> None:
    """Teach, and leave the artifact in the folder."""
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    os.nice(_NICENESS)
    torch.set_num_threads(1)
    folder, model, device, max_pixels, name, force = sys.argv[1:]
    try:
        _say(_taught(Path(folder), Path(model), device, int(max_pixels), name, force == "force"))
    except ModuleNotFoundError:
        _say({"error": _NO_PACKAGES})
    except OfflineError as error:
        _say({"error": str(error).replace(f"{folder}{os.sep}", "")})


def _taught(folder: Path, path: Path, device: str, max_pixels: int, name: str, force: bool) -> dict[str, Any]:
    # A server without the packages of the offline job starts all the same, and says so here.
    from artifacts.data.pairs import load_pairs
    from artifacts.job import frozen_model
    from artifacts.pictures.limits import PictureLimits
    from artifacts.stages import Follower
    from artifacts.store.artifact import save_artifact
    from artifacts.teach import refusal, teach

    model, fingerprint = frozen_model(path, device)
    pairs = load_pairs(folder, model.geometry.cell, PictureLimits(max_pixels))
    follower = Follower(lambda stage, progress: _say({"stage": stage, "progress": round(progress, 3)}))
    taught = teach(model, fingerprint, name, pairs, follower)
    metric = json.loads(taught.metadata["metric"])
    if not (taught.better or force):
        return {"error": refusal(taught).replace("--force", "force=true"), "metric": metric}
    save_artifact(folder / ARTIFACT, taught.vector, taught.metadata)
    return {"artifact": ARTIFACT, "metric": metric}


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
