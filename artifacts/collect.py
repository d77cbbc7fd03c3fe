"""`vtv collect`: mean head outputs over solved prompts, all sites in one pass."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from artifacts.episodes import Episodes, to_pixels
from artifacts.errors import OfflineError
from artifacts.evaluation.metrics import HIGHER_IS_BETTER, METRICS
from artifacts.forward import answer_cells, batches, device_of, one_shot_input, to_planes
from artifacts.tasks import Task
from engine.model import MaeVqgan
from engine.overrides import record
from engine.program import Program

SCHEMA = "vtv-means-1"
SELECTION_TEMPERATURE = 0.5


@dataclass(frozen=True, slots=True)
class Means:
    """Mean head outputs float32 [L,N,H,d] over `prompts` one-shot prompts, at the one-shot program's tokens."""

    encoder: Tensor
    decoder: Tensor
    task: str
    model: str
    prompts: int

    def for_program(self, program: Program, source: Program) -> tuple[Tensor, Tensor]:
        """The same at another program's tokens: each patch keeps its means."""
        return (
            self.encoder[:, _tokens(program.visible, source.visible)],
            self.decoder[:, _tokens(program.covered, source.covered)],
        )


@torch.inference_mode()
def collect(model: MaeVqgan, fingerprint: str, task: Task, candidates: Episodes, keep: int) -> Means:
    """Run one-shot prompts, rank them by the task's metric, average the heads of the best `keep`.

    Ranking first and recording after keeps memory at one batch; sums are float64.
    """
    best = candidates.part(np.sort(rank(model, task, candidates)[:keep]))
    totals: list[Tensor] | None = None
    for part in batches(best):
        recorded: list[Tensor] = []
        planes = model.normalise(to_planes(one_shot_input(model.geometry, part), device_of(model)))
        model.logits("one_shot", planes, record(recorded), record(recorded))
        sums = [heads.double().sum(0) for heads in recorded]
        totals = sums if totals is None else [a + b for a, b in zip(totals, sums, strict=True)]
    if totals is None:
        raise OfflineError("collect needs at least one prompt")
    means = [(total / len(best)).float().cpu() for total in totals]
    depth = model.config.mae.depth
    return Means(torch.stack(means[:depth]), torch.stack(means[depth:]), task.name, fingerprint, len(best))


@torch.inference_mode()
def rank(model: MaeVqgan, task: Task, episodes: Episodes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Episode numbers, best one-shot answer first."""
    scores = []
    for part in batches(episodes):
        planes = model.normalise(to_planes(one_shot_input(model.geometry, part), device_of(model)))
        logits = model.answer_logits("one_shot", model.logits("one_shot", planes))
        painted = to_pixels(answer_cells(model, logits, SELECTION_TEMPERATURE))
        scores.append(METRICS[task.metric](painted, part.answer))
    sign = -1 if HIGHER_IS_BETTER[task.metric] else 1
    return np.argsort(sign * np.concatenate(scores), kind="stable")


def save_means(path: Path, means: Means) -> None:
    """Write a means file (safetensors)."""
    metadata = {"schema": SCHEMA, "task": means.task, "model": means.model, "prompts": json.dumps(means.prompts)}
    partial = path.with_name(path.name + ".partial")
    save_file({"encoder": means.encoder.contiguous(), "decoder": means.decoder.contiguous()}, partial, metadata)
    partial.replace(path)


def load_means(path: Path, fingerprint: str) -> Means:
    """Read a means file made for this model; raises OfflineError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("schema") != SCHEMA:
                raise OfflineError(f"{path} is not a means file: make one with `vtv collect`")
            if metadata["model"] != fingerprint:
                raise OfflineError(f"{path} was collected from another model: collect again")
            return Means(
                file.get_tensor("encoder"),
                file.get_tensor("decoder"),
                metadata["task"],
                metadata["model"],
                int(metadata["prompts"]),
            )
    except (OSError, SafetensorError) as error:
        raise OfflineError(f"{path} cannot be read: {error}") from None


def _tokens(patches: tuple[int, ...], source: tuple[int, ...]) -> list[int]:
    token_of = {patch: token for token, patch in enumerate(source, start=1)}
    return [0, *(token_of[patch] for patch in patches)]
