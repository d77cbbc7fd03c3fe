"""What every part of the offline job shares: the frozen model, the data set's splits, the search's settings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from artifacts.console import keep_quiet, say
from artifacts.data.datasets import splits
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.recolour import recoloured
from artifacts.data.scenes import Scenes
from artifacts.errors import NEEDS_RAY, OfflineError
from artifacts.pieces.here import Here
from artifacts.pieces.protocol import Pieces
from artifacts.progress import Progress
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from artifacts.workers import lead
from engine.checkpoint import load_model
from engine.device import best_device
from engine.geometry import Pixels
from engine.model import MaeVqgan

CANDIDATE_PROMPTS, KEPT_PROMPTS = 400, 100
SEARCH_EPISODES, VALIDATION_EPISODES = 200, 96
MOST_CALIBRATION_EPISODES = 400
TEST_SEED = 101
"""Of the episodes that results are reported on."""


@dataclass(frozen=True)
class Job:
    """A frozen model and the scenes of each split (`search`, `validation`, `test`).

    `dataset` names data set and fold. `work` is the folder of intermediate files.
    """

    model: MaeVqgan
    fingerprint: str
    scenes: dict[str, Scenes]
    dataset: str
    work: Path
    settings: SearchSettings
    progress: Progress
    tensorboard: Path | None = None
    cluster: Pieces | None = None
    """Computes in this process's place."""

    @property
    def pieces(self) -> Pieces:
        """What computes."""
        return self.cluster or Here(self.model)

    @property
    def source(self) -> str:
        """What episodes are made of, in words."""
        return f"{self.dataset}, seed {self.settings.seed}"


def frozen_model(path: Path, device: str | None = None) -> tuple[MaeVqgan, str]:
    """A model and its fingerprint, on a device; where none is named on the GPU if there is one.

    Raises EngineError for a folder that holds no model, OfflineError for a GPU that is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise OfflineError("--device cuda: no CUDA device is found here")
    torch.set_flush_denormal(True)
    model, fingerprint = load_model(path)
    return model.to(device or best_device()), fingerprint


def load_job(
    model: Path,
    dataset: str,
    settings: SearchSettings,
    work: Path,
    *,
    device: str | None = None,
    fold: int | None = None,
    tensorboard: Path | None = None,
    ray: str | None = None,
) -> Job:
    """Load the model and the data set; the first of several processes alone tells of progress.

    `ray` is the address of a cluster that computes; `device` is then its workers'.
    """
    loaded, fingerprint = frozen_model(model, device if ray is None else "cpu")
    cluster = None if ray is None else _cluster(ray, loaded, fingerprint, device)
    scenes = splits(dataset, loaded.geometry, fold)
    name = dataset if fold is None else f"{dataset}, fold {fold}"
    progress = say if lead() else keep_quiet
    return Job(loaded, fingerprint, scenes, name, work, settings, progress, tensorboard, cluster)


def _cluster(address: str, model: MaeVqgan, fingerprint: str, device: str | None) -> Pieces:
    try:
        from artifacts.cluster import join
        from artifacts.pieces.cluster import Cluster
    except ImportError:
        raise OfflineError(f"--ray {NEEDS_RAY}") from None
    join(address)
    return Cluster(model, fingerprint, device)


def candidate_prompts(job: Job, task: Task) -> Episodes:
    """What collect chooses among."""
    return _episodes(job, task, "search", CANDIDATE_PROMPTS, job.settings.seed + 1)


def search_episodes(job: Job, task: Task) -> Episodes:
    """What a search takes its steps on."""
    return _episodes(job, task, "search", SEARCH_EPISODES, job.settings.seed + 2)


def validation_episodes(job: Job, task: Task) -> Episodes:
    """What masks and answer settings are chosen on."""
    return _episodes(job, task, "validation", VALIDATION_EPISODES, job.settings.seed + 3)


def calibration_episodes(job: Job, task: Task) -> Episodes:
    """What confidences are calibrated on: all scenes of the validation split, since few answers are bad."""
    count = min(MOST_CALIBRATION_EPISODES, max(VALIDATION_EPISODES, len(job.scenes["validation"])))
    return _episodes(job, task, "validation", count, job.settings.seed + 4)


def held_out_episodes(job: Job, task: Task, count: int) -> Episodes:
    """What results are reported on: nothing is made or chosen on them."""
    return make_episodes(job.scenes["test"], task, count, TEST_SEED)


def mean_answer(job: Job, task: Task) -> Pixels:
    """The mean colour of true answers of the search split, uint8 [3]: what a painter who never looks would paint."""
    answers_seen = make_episodes(job.scenes["search"], task, VALIDATION_EPISODES, job.settings.seed + 2).answer
    colour: Pixels = answers_seen.mean((0, 1, 2)).round().astype(np.uint8)
    return colour


def _episodes(job: Job, task: Task, part: str, count: int, seed: int) -> Episodes:
    scenes = job.scenes[part]
    return make_episodes(recoloured(scenes, seed) if task.recolour else scenes, task, count, seed)
