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
from artifacts.progress import Progress, Steps
from artifacts.resume import Checkpoint, State, work_key
from artifacts.tasks.task import Task
from artifacts.workers import share, summed
from engine.model import MaeVqgan
from engine.overrides import record

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
) -> Means:
    """Run one-shot prompts, rank them by the task's metric, average the heads of the chosen.

    Ranking first and recording after keeps memory at one batch; sums are float64. `source` says in words what
    the candidates were made of. With `checkpoint` an interrupted run goes on to the same numbers.
    """
    key = work_key(
        {"model": fingerprint, "task": task.name, "episodes": candidates.digest, "how": selection.how}
        | {"keep": selection.keep, "batch": BATCH}
    )
    run = _Collection(model, task, candidates, selection, Checkpoint(checkpoint, key))
    run.work(progress)
    count, depth = len(run.chosen), model.config.mae.depth
    means = [(total / count).float().cpu() for total in run.totals]
    squares = [(total / count).float().cpu() for total in run.squares]
    how = Collected(
        torch.stack(squares[:depth]), torch.stack(squares[depth:]), selection.how, source, candidates.digest
    )
    return Means(torch.stack(means[:depth]), torch.stack(means[depth:]), task.name, fingerprint, count, how)


class _Collection:
    """Batches ranked (`scores`), then batches recorded: sums of heads, and of their squares, per block."""

    def __init__(
        self, model: MaeVqgan, task: Task, candidates: Episodes, selection: Selection, checkpoint: Checkpoint
    ) -> None:
        self.model, self.task, self.candidates, self.selection = model, task, candidates, selection
        self.checkpoint = checkpoint
        self.scores: list[Tensor] = []
        self.totals: list[Tensor] = []
        self.squares: list[Tensor] = []
        self.recorded = 0
        held = checkpoint.load()
        if held is not None:
            self.scores, self.recorded = held["scores"], held["recorded"]
            device = device_of(model)
            self.totals, self.squares = ([t.to(device) for t in held[name]] for name in ("totals", "squares"))
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
                start = len(self.scores) * BATCH
                self.scores.append(self._rank(self.candidates.part(slice(start, start + BATCH))))
                self._after(shown, "ranking prompts")
            self.chosen = self.selection.choose(self.candidates, self._order())
            if not len(self.chosen):
                raise OfflineError("collect needs at least one prompt")
            while self.recorded < len(self.chosen):
                part = self.chosen[self.recorded : self.recorded + BATCH]
                self._record(self.candidates.part(part))
                self._after(shown, "recording heads")
        except KeyboardInterrupt:
            self.checkpoint.save(self.state())
            raise
        finally:
            shown.close()

    def state(self) -> State:
        """What was done."""
        return {"scores": self.scores, "totals": self.totals, "squares": self.squares, "recorded": self.recorded}

    def _after(self, shown: Steps, text: str) -> None:
        shown.update(text)
        if self.checkpoint.due:
            self.checkpoint.save(self.state())

    def _order(self) -> NDArray[np.int64]:
        """Candidate numbers, best one-shot answer first; as they come where none was ranked."""
        if not self.scores:
            return np.arange(len(self.candidates))
        losses = METRICS[self.task.metric].as_loss(torch.cat(self.scores).numpy())
        return np.argsort(losses, kind="stable")

    @torch.inference_mode()
    def _rank(self, part: Episodes) -> Tensor:
        model, rows = self.model, share(len(part))
        own, scores = part.part(rows), torch.zeros(len(part), dtype=torch.float64)
        if len(own):
            planes = model.normalise(to_planes(one_shot_input(model.geometry, own), device_of(model)))
            logits = model.answer_logits("one_shot", model.logits("one_shot", planes))
            painted = to_pixels(answer_cells(model, logits, SELECTION_TEMPERATURE))
            scores[rows] = torch.from_numpy(METRICS[self.task.metric].score(painted, own.answer))
        return summed(scores)

    @torch.inference_mode()
    def _record(self, part: Episodes) -> None:
        heads: list[Tensor] = []
        own = share(len(part))
        weight = float(own.stop > own.start)
        seen = part.part(own if weight else slice(0, 1))  # without a row of its own, a worker adds nothing times one
        planes = self.model.normalise(to_planes(one_shot_input(self.model.geometry, seen), device_of(self.model)))
        self.model.logits("one_shot", planes, record(heads), record(heads))
        sums = [summed(block.double().sum(0) * weight) for block in heads]
        squares = [summed(block.double().square().sum((0, -1)) * weight) for block in heads]
        # New tensors, all assigned together: an interruption finds either the batch or nothing of it.
        first = not self.recorded
        self.totals, self.squares, self.recorded = (
            sums if first else [a + b for a, b in zip(self.totals, sums, strict=True)],
            squares if first else [a + b for a, b in zip(self.squares, squares, strict=True)],
            self.recorded + len(part),
        )


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
