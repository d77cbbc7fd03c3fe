"""Taskness: how much more a head's output differs between tasks than within one (Hojel et al., ECCV 2024).

For each head, over its tokens: the variance of the tasks' means, over the mean variance of prompts of one task.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.collect.means import Means
from artifacts.errors import OfflineError

Heads = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Variances [L,H] of a part's heads, each the mean over tokens of the trace over channels."""

    between: Heads
    within: Heads

    @property
    def taskness(self) -> Heads:
        """Between over within, [L,H]."""
        ratio: Heads = self.between / np.maximum(self.within, np.finfo(np.float64).tiny)
        return ratio


def taskness(means: Sequence[Means]) -> dict[str, Spread]:
    """Means of two tasks or more -> the spread of `encoder` and `decoder`; raises OfflineError."""
    tasks = [part.task for part in means]
    if len(set(tasks)) < 2 or len(set(tasks)) < len(tasks):
        raise OfflineError(f"taskness needs means of two different tasks or more, not of {', '.join(tasks)}")
    if len({part.model for part in means}) > 1:
        raise OfflineError("the means are of different models")
    for part in means:
        if part.collected is None or part.prompts < 2:
            raise OfflineError(f"the means of {part.task} tell no spread: collect over two prompts or more")
    every = [part.collected for part in means if part.collected is not None]
    return {
        "encoder": _spread(means, [part.encoder for part in means], [how.encoder_square for how in every]),
        "decoder": _spread(means, [part.decoder for part in means], [how.decoder_square for how in every]),
    }


def _spread(means: Sequence[Means], values: Sequence[Tensor], squares: Sequence[Tensor]) -> Spread:
    """Values [L,N,H,d] and mean squares [L,N,H] of each task -> unbiased variances [L,H]."""
    stacked = torch.stack([value.double() for value in values])
    between = stacked.var(0).sum(-1).mean(1)
    inside = [
        (square.double() - value.square().sum(-1)) * (part.prompts / (part.prompts - 1))
        for part, value, square in zip(means, stacked, squares, strict=True)
    ]
    within = torch.stack(inside).mean(0).clamp(min=0).mean(1)
    return Spread(between.numpy(), within.numpy())


def as_json(means: Sequence[Means], spreads: dict[str, Spread]) -> dict[str, object]:
    """The report: what the means are of, and per part `between`, `within` and `taskness` [layer][head]."""
    about = [
        {"task": part.task, "prompts": part.prompts, "source": part.collected.source if part.collected else ""}
        for part in means
    ]
    numbers = {
        part: {"between": s.between.tolist(), "within": s.within.tolist(), "taskness": s.taskness.tolist()}
        for part, s in spreads.items()
    }
    return {"model": means[0].model, "means": about, **numbers}


def write_taskness(folder: Path, means: Sequence[Means]) -> dict[str, object]:
    """`taskness.json` and, a heat map of layers by heads, `taskness.png`; returns the report."""
    spreads = taskness(means)
    report = as_json(means, spreads)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "taskness.json").write_text(json.dumps(report, indent=1) + "\n")
    heat_map(folder / "taskness.png", spreads, [part.task for part in means])
    return report


def heat_map(path: Path, spreads: dict[str, Spread], tasks: Sequence[str]) -> None:
    """One panel a part, one cell a head, its logarithm as colour; raises OfflineError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OfflineError("the heat map needs the package matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(1, len(spreads))
    logs = {part: np.log10(np.maximum(s.taskness, 1e-6)) for part, s in spreads.items()}
    every = np.concatenate([log.ravel() for log in logs.values()])
    low, high = float(every.min()), float(every.max())
    for axis, (part, log) in zip(axes, logs.items(), strict=True):
        image = axis.imshow(log, aspect="auto", cmap="viridis", vmin=low, vmax=high)
        axis.set(title=part, xlabel="head", ylabel="layer", xticks=range(log.shape[1]), yticks=range(log.shape[0]))
    figure.colorbar(image, ax=axes, label="taskness: log10 of variance between tasks over variance within")
    figure.suptitle(", ".join(tasks))
    figure.savefig(path, dpi=120)
