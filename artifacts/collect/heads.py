"""`vtv collect`: mean head outputs over solved prompts, all sites in one pass."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.collect.means import Collected, Means
from artifacts.data.episodes import Episodes, to_pixels
from artifacts.errors import OfflineError
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import BATCH, answer_cells, device_of, one_shot_input, to_planes
from artifacts.pieces.here import Here
from artifacts.pieces.protocol import Pieces
from artifacts.progress import Progress, Steps
from artifacts.resume import Checkpoint, State, work_key
from artifacts.tasks.task import Task
from engine.model import MaeVqgan
from engine.overrides import record
from engine.program import Scope

SELECTION_TEMPERATURE = 0.5
SELECTIONS = ("best", "unique", "random")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which `keep` of the candidate prompts are averaged.

    `best`: the best by the task's metric. `unique`, as published: the same, but no scene is the example twice, nor
    the query twice. `random`: as they come; none is ranked.
    """

    keep: int
    how: str = "best"

    def __post_init__(self) -> None:
        if self.how not in SELECTIONS:
            raise OfflineError(f"selection {self.how!r} is none of {', '.join(SELECTIONS)}")

    def choose(self, candidates: Episodes, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the chosen among candidates in `order`, ascending."""
        if self.how == "unique":
            order = _unique(candidates, order)
        return np.sort(order[: self.keep])


def collect(
    model: MaeVqgan,
    fingerprint: str,
    task: Task,
    candidates: Episodes,
    selection: Selection,
    source: str,
    progress: Progress,
    checkpoint: Path | None = None,
    pieces: Pieces | None = None,
) -> Means:
    """Run one-shot prompts, rank them by the task's metric, average the heads of the chosen.

    Ranking first and recording after keeps memory at one batch; sums are float64. `source` says in words what
    the candidates were made of. With `checkpoint` an interrupted run goes on to the same numbers. `pieces` computes;
    by default this process.
    """
    key = work_key(
        {"model": fingerprint, "task": task.name, "episodes": candidates.digest, "how": selection.how}
        | {"keep": selection.keep, "batch": BATCH}
    )
    run = _Collection(pieces or Here(model), task, candidates, selection, Checkpoint(checkpoint, key))
    run.work(progress)
    count, depth = len(run.chosen), model.config.mae.depth
    means = [(total / count).float() for total in run.totals]
    squares = [(total / count).float() for total in run.squares]
    how = Collected(
        torch.stack(squares[:depth]), torch.stack(squares[depth:]), selection.how, source, candidates.digest
    )
    return Means(torch.stack(means[:depth]), torch.stack(means[depth:]), task.name, fingerprint, count, how)


class _Collection:
    """Batches ranked (`scores`), then batches recorded: sums of heads, and of their squares, per block."""

    def __init__(
        self, pieces: Pieces, task: Task, candidates: Episodes, selection: Selection, checkpoint: Checkpoint
    ) -> None:
        self.pieces, self.task, self.candidates, self.selection = pieces, task, candidates, selection
        self.checkpoint = checkpoint
        self.scores: list[Tensor] = []
        self.totals: list[Tensor] = []
        self.squares: list[Tensor] = []
        self.recorded = 0
        held = checkpoint.load()
        if held is not None:
            self.scores, self.recorded = held["scores"], held["recorded"]
            self.totals, self.squares = held["totals"], held["squares"]
        self.chosen: NDArray[np.int64] = np.empty(0, np.int64)

    def work(self, progress: Progress) -> None:
        """Everything that remains."""
        count = len(self.candidates)
        ranked = 0 if self.selection.how == "random" else -(-count // BATCH)
        kept = -(-min(self.selection.keep, count) // BATCH)
        done = len(self.scores) + -(-self.recorded // BATCH)
        shown = Steps(f"{self.task.name}: collect", ranked + kept, done, progress)
        try:
            while len(self.scores) < ranked:
                starts = range(len(self.scores) * BATCH, count, BATCH)[: self.pieces.at_once]
                parts = [self.candidates.part(slice(start, start + BATCH)) for start in starts]
                self.scores += self.pieces.map(ranked_scores, (self.task.metric,), parts)
                self._after(shown, "ranking prompts", len(parts))
            self.chosen = self.selection.choose(self.candidates, self._order())
            if not len(self.chosen):
                raise OfflineError("collect needs at least one prompt")
            while self.recorded < len(self.chosen):
                starts = range(self.recorded, len(self.chosen), BATCH)[: self.pieces.at_once]
                parts = [self.candidates.part(self.chosen[start : start + BATCH]) for start in starts]
                self._record(parts)
                self._after(shown, "recording heads", len(parts))
        except KeyboardInterrupt:
            self.checkpoint.save(self.state())
            raise
        finally:
            shown.close()

    def state(self) -> State:
        """What was done."""
        return {"scores": self.scores, "totals": self.totals, "squares": self.squares, "recorded": self.recorded}

    def _after(self, shown: Steps, text: str, count: int) -> None:
        shown.update(text, count)
        if self.checkpoint.due:
            self.checkpoint.save(self.state())

    def _order(self) -> NDArray[np.int64]:
        """Candidate numbers, best one-shot answer first; as they come where none was ranked."""
        if not self.scores:
            return np.arange(len(self.candidates))
        losses = METRICS[self.task.metric].as_loss(torch.cat(self.scores).numpy())
        return np.argsort(losses, kind="stable")

    def _record(self, parts: list[Episodes]) -> None:
        found = self.pieces.map(head_sums, (), parts)
        totals, squares, recorded = self.totals, self.squares, self.recorded
        for part, (sums, own) in zip(parts, found, strict=True):
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if recorded else sums
            squares = [a + b for a, b in zip(squares, own, strict=True)] if recorded else own
            recorded += len(part)
        # All assigned together: an interruption finds either the batches or nothing of them.
        self.totals, self.squares, self.recorded = totals, squares, recorded


@torch.inference_mode()
def ranked_scores(model: MaeVqgan, metric: str, part: Episodes) -> Tensor:
    """Of a batch's one-shot answers, float64 [B]."""
    planes = model.normalise(to_planes(one_shot_input(model.geometry, part), device_of(model)))
    logits = model.logits("one_shot", planes, scope=Scope.ANSWER)
    painted = to_pixels(answer_cells(model, logits, SELECTION_TEMPERATURE))
    return torch.from_numpy(METRICS[metric].score(painted, part.answer)).double()


@torch.inference_mode()
def head_sums(model: MaeVqgan, part: Episodes) -> tuple[list[Tensor], list[Tensor]]:
    """Of each block's heads over a batch, float64: their sum [N,H,d], and the sum of their squared norms [N,H]."""
    heads: list[Tensor] = []
    planes = model.normalise(to_planes(one_shot_input(model.geometry, part), device_of(model)))
    model.logits("one_shot", planes, record(heads), record(heads))
    sums = [block.double().sum(0).cpu() for block in heads]
    return sums, [block.double().square().sum((0, -1)).cpu() for block in heads]


def _unique(candidates: Episodes, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `order` whose example was no example before them, and whose query no query."""
    if candidates.scenes is None:
        raise OfflineError("unique prompts need episodes that know their scenes")
    examples: set[int] = set()
    queries: set[int] = set()
    kept = []
    for number in order:
        example, query = candidates.scenes[number].tolist()
        if example not in examples and query not in queries:
            kept.append(number)
            examples.add(example)
            queries.add(query)
    return np.asarray(kept, np.int64)
