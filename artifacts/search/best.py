"""`vtv search`: run a method, then keep the deterministic mask that does best on validation episodes."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from artifacts.data.episodes import Episodes
from artifacts.errors import OfflineError
from artifacts.pieces.protocol import Pieces
from artifacts.progress import Progress
from artifacts.resume import Checkpoint, work_key
from artifacts.search.causal import CausalSearch
from artifacts.search.floors import AllSites, RandomSites
from artifacts.search.gates import GateSearch
from artifacts.search.loop import Cost, Loop, Watch
from artifacts.search.passes import TEMPERATURE, Values
from artifacts.search.run import Search
from artifacts.search.runner import MultiRunner, SingleRunner
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings, TaskVector

METHODS: dict[str, type[Search]] = {
    "reinforce": Search,
    "gates": GateSearch,
    "causal": CausalSearch,
    "all": AllSites,
    "random": RandomSites,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A searched vector and what finding it cost."""

    vector: TaskVector
    cost: Cost


@dataclass(frozen=True, slots=True)
class SearchData:
    """One task with its values, float32 [L,N,H,d] at the zero-shot program's tokens, and its episodes."""

    task: Task
    values: Values
    train: Episodes
    validation: Episodes


def search(
    model: MaeVqgan,
    fingerprint: str,
    data: Sequence[SearchData],
    settings: SearchSettings,
    watch: Watch,
    pieces: Pieces | None = None,
) -> list[Found]:
    """The best deterministic task vector found, one per task; several tasks share one mask (REINFORCE alone).

    Published masks do not depend on a draw: the best of several candidates on the validation episodes is kept.
    With `watch.checkpoint` an interrupted search goes on to the same numbers; the file stays until the caller
    has kept what it needs. `pieces` computes; by default this process.
    """
    runs = [METHODS[settings.method](model, part.task, part.values, settings, pieces) for part in data]
    name = "+".join(part.task.name for part in data)
    if len(runs) > 1 and settings.method != "reinforce":
        raise OfflineError(f"one mask for several tasks goes with --method reinforce, not {settings.method}")
    train, validation = [part.train for part in data], [part.validation for part in data]
    runner = SingleRunner(runs[0], train[0], validation[0]) if len(runs) == 1 else MultiRunner(runs, train, validation)
    loop = Loop(runner, name, Checkpoint(watch.checkpoint, search_key(fingerprint, data, settings)), watch)
    mask = loop.run()
    return [Found(run_vector(run, mask, fingerprint), loop.cost) for run in runs]


def search_key(fingerprint: str, data: Sequence[SearchData], settings: SearchSettings) -> str:
    """A hash of all that decides a search's numbers."""
    return work_key(
        {
            "model": fingerprint,
            "tasks": [part.task.name for part in data],
            "settings": asdict(settings),
            "values": [hashlib.sha256(v.cpu().numpy().tobytes()).hexdigest() for part in data for v in part.values],
            "episodes": [(part.train.digest, part.validation.digest) for part in data],
        }
    )


def best_candidate(run: Search, candidates: Tensor, validation: Episodes, progress: Progress) -> Tensor:
    """Of masks over the variables [K,n] the one with the lowest validation loss: [n]."""
    losses = run.losses(candidates, validation)
    best = candidates[int(losses.argmin())]
    progress(
        f"{run.task.name}: validation loss {float(losses.min()):.4f}, {int(best.sum())} of {run.variables.count} "
        "variables"
    )
    return best


def run_vector(run: Search, mask: Tensor, fingerprint: str) -> TaskVector:
    """A run's values with the sites of one mask over the variables [n]."""
    encoder_mask, decoder_mask = run.variables.expand(mask[None].bool())
    return TaskVector(
        run.values[0].detach().cpu(),
        encoder_mask[:, 0].contiguous(),
        run.values[1].detach().cpu(),
        decoder_mask[:, 0].contiguous(),
        "zero_shot",
        fingerprint,
        AnswerSettings(TEMPERATURE),
    )
