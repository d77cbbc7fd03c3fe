"""The synthetic weights against their published checksums."""

import hashlib
import json
from pathlib import Path

from engine.model import MaeVqgan
from parity.checks import Checks
from parity.session import Missing
from parity.weights import POSITIONS
from training.import_checkpoint import public_name


def check_weights(directory: Path, size: str, model: MaeVqgan) -> Checks:
    """SHA-256 of every tensor but the position tables, whose last bit depends on the platform's sine."""
    name = f"weights_sha256_{size}.json"
    path = next((p / name for p in (directory, directory.resolve().parent) if (p / name).is_file()), None)
    if path is None:
        raise Missing(f"{name} is missing")
    wanted, checks = json.loads(path.read_text()), Checks()
    tensors = {public_name(key): tensor for key, tensor in model.state_dict().items()}
    checks.add("keys", "equal", float(len(tensors.keys() ^ wanted.keys())))
    for key in tensors.keys() & wanted.keys() - set(POSITIONS):
        digest = hashlib.sha256(tensors[key].numpy().astype("<f4", copy=False).tobytes()).hexdigest()
        checks.add("checksums", "equal", float(digest != wanted[key]["sha256"]))
    return checks
