"""Case 6, metrics: on the reference's own images (exact), and on ours."""

import json
import re

import numpy as np

from artifacts.evaluation.metrics import mse, published_iou, white
from parity.checks import Checks
from parity.forward import Image
from parity.session import Missing, Session

CROSS = re.compile(r"(iou|mse)\((\w+),(\w+)\)(?:/(c\d+))?(?:/t=\[(.*)\])?")
CONSTANTS = {"black": 0, "white": 255}


def check_metrics(session: Session, case: str) -> Checks:
    """`per_case` scores an image against its canvas, `cross` two images against each other."""
    path = session.folder / f"{case}.json"
    if not path.is_file():
        raise Missing(f"{path.name} is missing")
    data, checks = json.loads(path.read_text()), Checks()
    for key, wanted in data["per_case"].items():
        case_name, canvas = key.split("/")
        for source, answer in images(session, case_name, canvas).items():
            kinds = ("stored", "stored") if source == "stored" else ("mse", "iou")
            scores = (_mse(session.original(canvas), answer), _iou(session.original(canvas), answer))
            checks.relative(f"mse, {source} images", kinds[0], scores[0], wanted["loss_mse"])
            checks.relative(f"mse, {source} images", kinds[0], scores[0], wanted["collect_mse"])
            checks.close(f"iou, {source} images", kinds[1], scores[1], wanted["loss_iou"])
    for key, value in data["cross"].items():
        _check_cross(session, key, float("nan") if value is None else value, checks)
    return checks


def images(session: Session, case: str, canvas: str) -> dict[str, Image]:
    """The decoded image of a case as we make it (`our`), and as `stored` where the folder has it."""
    for path in sorted(session.folder.glob("case*_*.npz")):
        if path.stem.partition("_")[2] == case:
            found = {"our": session.run(path.stem, canvas).image}
            stored = session.arrays(path.stem).get(f"{canvas}/image")
            return found if stored is None else found | {"stored": stored}
    raise Missing(f"the metrics name {case}, which has no file")


def _check_cross(session: Session, key: str, wanted: float, checks: Checks) -> None:
    match = CROSS.fullmatch(key)
    if match is None:
        return
    metric, first, second, canvas, shift = match.groups()
    offset = [float(value) for value in shift.split(",")] if shift else [0.0, 0.0, 0.0]
    if canvas is None:
        score = _iou(_constant(session, first), _constant(session, second))
        checks.add("iou of constant images", "equal", 0.0 if np.array_equal(score, wanted, equal_nan=True) else 1.0)
        return
    others = images(session, second, canvas)
    for source, image in images(session, first, canvas).items():
        if metric == "mse":
            score, kind = _mse(image, others[source]), "stored" if source == "stored" else "mse"
            checks.relative(f"mse of pairs, {source} images", kind, score, wanted)
        else:
            score, kind = _iou(image, others[source], offset), "stored" if source == "stored" else "iou"
            checks.close(f"iou of pairs, {source} images", kind, score, wanted)


def _crop(image: Image) -> Image:
    cell = image.shape[0] // 2 - 1
    return image[-cell:, -cell:]


def _mse(first: Image, second: Image) -> float:
    return float(mse(_crop(first)[None], _crop(second)[None])[0])


def _iou(first: Image, second: Image, offset: list[float] | None = None) -> float:
    """With an offset: the public code's colour shift of the second image before it turns black and white."""
    if not offset or not any(offset):
        return float(published_iou(_crop(first)[None], _crop(second)[None])[0])
    shifted = _crop(second).astype(np.int64) + np.asarray(offset).astype(np.int64)
    one, other = white(_crop(first)), white(shifted)
    return float((one & other).sum() / (one | other).sum())


def _constant(session: Session, name: str) -> Image:
    side = session.model.geometry.image_size
    return np.full((side, side, 3), CONSTANTS[name] if name in CONSTANTS else int(name), np.uint8)
