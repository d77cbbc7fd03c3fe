"""`vtv teach`: a task from a handful of input/output pairs.

The pairs prompt each other: every pair is the example for every other, mirrored and not. The means of those
prompts' heads are the values; where there are pairs enough to hold some out, a short gradient search says
which to write, else the best of a few fixed layouts of layers does.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.collect.heads import Selection, collect
from artifacts.collect.means import zero_shot_values
from artifacts.data.episodes import Episodes
from artifacts.data.mutual_prompts import mutual_prompts, queries
from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError
from artifacts.evaluation.answer_settings import choose_settings
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.confidence import with_confidence
from artifacts.evaluation.metrics import mse
from artifacts.evaluation.ways import CONSTANT, COPY
from artifacts.forward import answers, episode_logits
from artifacts.job import KEPT_PROMPTS
from artifacts.progress import Progress
from artifacts.provenance import made_now
from artifacts.search.best import SearchData, best_candidate, run_vector, search
from artifacts.search.loop import Watch
from artifacts.search.run import Search
from artifacts.search.settings import method_settings
from artifacts.stages import Stages
from artifacts.store.address import StoreAddress
from artifacts.store.artifact import Artifact, save_artifact
from artifacts.store.file import check_name
from artifacts.store.open import open_store
from artifacts.tasks.task import Task
from artifacts.tasks.views import output, picture
from engine.model import MaeVqgan
from engine.task_vector import TaskVector

SEARCHED_FROM = 6
"""Pairs from which on a third is held out and the rest searched."""
HELD_OUT = 3
STEPS = 60
STAGES = ("collect", "search", "choose settings", "judge")
NO_VECTOR = "no vector"


@dataclass(frozen=True, slots=True)
class Taught:
    """A vector with its metadata; its error, and that of every floor, on the same pairs at the same settings."""

    vector: TaskVector
    metadata: dict[str, str]
    error: Interval
    floors: dict[str, Interval]

    @property
    def floor(self) -> str:
        """The name of the floor that is hardest to beat."""
        return min(self.floors, key=lambda name: self.floors[name].mean)

    @property
    def better(self) -> bool:
        """Whether the vector does more for the task than no vector, the input itself, or one colour would."""
        return self.error.mean < self.floors[self.floor].mean


def teach(
    model: MaeVqgan, fingerprint: str, name: str, pairs: Scenes, progress: Progress, seed: int = 0, steps: int = STEPS
) -> Taught:
    """Make a task vector of pairs (pictures and `outputs`); raises OfflineError where there are too few.

    Its error is measured on the pairs held out, or, with fewer than `SEARCHED_FROM`, on its own pairs.
    """
    check_name(name)
    if len(pairs) < 2:
        raise DatasetError("teach needs 2 pairs or more: each is the example for the others")
    task = Task(name, picture, output, "mse", f"Taught by {len(pairs)} pairs of pictures.")
    order = np.random.default_rng(seed).permutation(len(pairs))
    searched = len(pairs) >= SEARCHED_FROM
    held_out = len(pairs) // HELD_OUT if searched else 0
    own, judged = pairs.part(order[held_out:]), pairs.part(order[:held_out] if searched else order)
    prompts = mutual_prompts(own, seed)
    stages = Stages(name, STAGES, progress)
    stages.begin("collect")
    selection = Selection(min(KEPT_PROMPTS, -(-len(prompts) // 2)))
    means = collect(model, fingerprint, task, prompts, selection, f"{len(own)} pairs", progress)
    progress(f"{name}: means over the best {means.prompts} of {len(prompts)} prompts among {len(own)} pairs")
    values, train = zero_shot_values(model, means), queries(own, mirrored=True)
    stages.begin("search")
    settings = method_settings("gates", steps=steps, seed=seed)
    if searched:
        data = SearchData(task, values, train, train)
        vector = search(model, fingerprint, [data], settings, Watch(progress))[0].vector
    else:
        run = Search(model, task, values, settings)
        vector = run_vector(run, best_candidate(run, layouts(run), train, progress), fingerprint)
    stages.begin("choose settings")
    vector = with_confidence(model, task, choose_settings(model, task, vector, train, progress), train)
    stages.begin("judge")
    judges = queries(judged, mirrored=False)
    error = error_of(model, judges, vector, vector)
    floors = floors_of(model, judges, vector, own)
    where = f"{len(judges)} pairs held out" if searched else f"its own {len(judges)} pairs"
    beside = ", ".join(f"{floor} {value}" for floor, value in floors.items())
    progress(f"{name}: MSE {error} on {where}; floors: {beside}")
    metadata = {
        "task": name,
        "description": task.description,
        "granularity": settings.granularity,
        "method": "gates" if searched else "layouts",
        "seed": str(seed),
        "prompts": str(means.prompts),
        "dataset": f"{len(pairs)} pairs",
        "metric": metric_json(error, floors, len(judges), where),
        **made_now(),
    }
    return Taught(vector, metadata, error, floors)


def metric_json(error: Interval, floors: dict[str, Interval], count: int, where: str) -> str:
    """The artifact's metric: the error, that of every floor, and on which pairs."""
    limits = [round(error.low, 4), round(error.high, 4)]
    about = {"name": "mse", "value": round(error.mean, 4), "interval": limits, "episodes": count, "split": where}
    return json.dumps(about | {name.replace(" ", "_"): round(value.mean, 4) for name, value in floors.items()})


def refusal(taught: Taught) -> str:
    """Why a vector is not published, in a line."""
    return (
        f"{taught.metadata['task']} is not published: MSE {taught.error.mean:.3f} with the vector is no better than "
        f"{taught.floors[taught.floor].mean:.3f} ({taught.floor}); give more pairs, or --force"
    )


def publish(taught: Taught, store: StoreAddress) -> Artifact:
    """Publish into a store under the task's name."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "taught.safetensors"
        save_artifact(path, taught.vector, taught.metadata)
        return open_store(store).publish(path, taught.vector.model)


def layouts(run: Search) -> Tensor:
    """Masks over the variables [K,n] that need no search: all layers from one on, or up to one, of either part."""
    rows = []
    for index in (run.variables.encoder_index, run.variables.decoder_index):
        for layer in range(len(index)):
            for chosen in (index[layer:], index[: layer + 1]):
                row = torch.zeros(run.variables.count)
                row[chosen.unique()] = 1
                rows.append(row)
    return torch.stack(rows)


def floors_of(model: MaeVqgan, judges: Episodes, settings: TaskVector, own: Scenes) -> dict[str, Interval]:
    """What costs no teaching: no vector, the input as it is, and the mean colour of the pairs taught."""
    assert own.outputs is not None
    colour = own.outputs.mean((0, 1, 2)).round().astype(np.uint8)
    constant = np.broadcast_to(colour, judges.answer.shape)
    return {
        NO_VECTOR: error_of(model, judges, None, settings),
        COPY: interval(mse(judges.query, judges.answer)),
        CONSTANT: interval(mse(constant, judges.answer)),
    }


def error_of(model: MaeVqgan, episodes: Episodes, vector: TaskVector | None, settings: TaskVector) -> Interval:
    """MSE with or without a vector, at the settings of one."""
    logits = episode_logits(model, episodes, vector, one_shot=False)
    scores: NDArray[np.float64] = mse(answers(model, logits, episodes.query, settings.answer), episodes.answer)
    return interval(scores)
