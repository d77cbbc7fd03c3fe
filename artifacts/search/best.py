"""`vtv search`: run a method, then keep the deterministic mask that does best on validation episodes."""

from typing import Any

import numpy as np
from torch import Tensor

from artifacts.episodes import Episodes
from artifacts.errors import OfflineError
from artifacts.forward import Progress
from artifacts.search.gates import GateSearch
from artifacts.search.prune import prune
from artifacts.search.run import TEMPERATURE, Search, SearchSettings
from artifacts.tasks import Task
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings, TaskVector

METHODS: dict[str, type[Search]] = {"reinforce": Search, "gates": GateSearch}
DEFAULTS: dict[str, dict[str, Any]] = {
    "reinforce": {},
    "gates": {"steps": 100, "samples": 16, "images": 1, "rate": 0.2, "initial_logit": -0.5},
}
"""What a method runs with unless told otherwise, beside `SearchSettings`' own defaults."""


def method_settings(method: str, **chosen: Any) -> SearchSettings:
    """A method's settings; what is None among `chosen` stays at its default. Raises OfflineError."""
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = SearchSettings(method=method, **DEFAULTS[method] | given)
    if settings.objective == "token" and method != "gates":
        raise OfflineError("--objective token goes with --method gates")
    if settings.prune is not None and not 0 <= settings.prune < 1:
        raise OfflineError(f"--prune takes a share of the loss from 0 to below 1, not {settings.prune}")
    return settings


def search(
    model: MaeVqgan,
    fingerprint: str,
    task: Task,
    values: tuple[Tensor, Tensor],
    train: Episodes,
    validation: Episodes,
    settings: SearchSettings,
    progress: Progress,
) -> TaskVector:
    """Values float32 [L,N,H,d] at the zero-shot program's tokens -> the best deterministic task vector found.

    Published masks do not depend on a draw: the best of several candidates on the validation episodes is kept.
    """
    run = METHODS[settings.method](model, task, values, settings)
    recent: list[float] = []
    for number in range(1, settings.steps + 1):
        recent.append(run.step(train))
        if number % 20 == 0 or number == settings.steps:
            progress(f"{task.name}: step {number}/{settings.steps}, mean loss {np.mean(recent[-20:]):.4f}")
    return run_vector(run, best_candidate(run, run.candidates(), validation, progress), fingerprint)


def best_candidate(run: Search, candidates: Tensor, validation: Episodes, progress: Progress) -> Tensor:
    """Of masks over the variables [K,n] the one with the lowest validation loss, pruned if so set: [n]."""
    losses = run.losses(candidates, validation)
    best, name = candidates[int(losses.argmin())], run.task.name
    progress(f"{name}: validation loss {float(losses.min()):.4f}, {int(best.sum())} of {run.variables.count} variables")
    if run.settings.prune is not None:
        best = prune(lambda samples: run.losses(samples, validation), best, run.settings.prune)
        progress(f"{name}: {int(best.sum())} variables within {run.settings.prune:.1%} of that loss")
    return best


def run_vector(run: Search, mask: Tensor, fingerprint: str) -> TaskVector:
    """A run's values with the sites of one mask over the variables [n]."""
    encoder_mask, decoder_mask = run.variables.expand(mask[None].bool())
    return TaskVector(
        run.values[0].cpu(),
        encoder_mask[:, 0].contiguous(),
        run.values[1].cpu(),
        decoder_mask[:, 0].contiguous(),
        "zero_shot",
        fingerprint,
        AnswerSettings(TEMPERATURE),
    )
