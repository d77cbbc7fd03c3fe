"""`vtv bench teach`: a task the bundled model was not published with, taught from a few pairs, on pairs it never saw.

The task is the inverted mask: a black object on white.
"""

import json
from argparse import Namespace
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from artifacts.console import say
from artifacts.data.datasets import splits
from artifacts.data.mutual_prompts import queries
from artifacts.data.scenes import Scenes
from artifacts.evaluation.bootstrap import Interval
from artifacts.job import frozen_model
from artifacts.teach import error_of, floors_of, teach
from engine.model import MaeVqgan

TASK: Final = "inverse_mask"


@dataclass(frozen=True, slots=True)
class Report:
    """MSE on unseen pairs: of the taught vector, and of every floor."""

    pairs: int
    unseen: int
    taught: Interval
    floors: dict[str, Interval]


def main(asked: Namespace) -> int:
    """The command. Returns 0 where the vector beats every floor, else 1."""
    model, fingerprint = frozen_model(asked.model)
    report = bench(model, fingerprint, asked.dataset, asked.pairs, asked.unseen, asked.seed)
    if asked.json:
        print(json.dumps(asdict(report)))
    else:
        rows = {"taught vector": report.taught} | report.floors
        print("\n".join(f"{name:18} MSE {value}" for name, value in rows.items()))
    return 0 if all(report.taught.mean < floor.mean for floor in report.floors.values()) else 1


def bench(model: MaeVqgan, fingerprint: str, dataset: str, count: int, unseen: int, seed: int) -> Report:
    """Teach from `count` pairs of the training split; judge on `unseen` of the test split."""
    scenes = splits(dataset, model.geometry)
    own = inverted(scenes["search"], count, seed)
    taught = teach(model, fingerprint, TASK, own, say, seed)
    judges = queries(inverted(scenes["test"], unseen, seed), mirrored=False)
    error = error_of(model, judges, taught.vector, taught.vector)
    return Report(len(own), len(judges), error, floors_of(model, judges, taught.vector, own))


def inverted(scenes: Scenes, count: int, seed: int) -> Scenes:
    """`count` scenes at random as pairs: the picture, and a black object on white."""
    chosen = scenes.part(np.random.default_rng(seed).permutation(len(scenes))[:count])
    outputs = np.repeat(((1 - chosen.masks) * 255)[..., None], 3, -1)
    return Scenes(chosen.pictures, np.zeros_like(chosen.masks), None, outputs)
