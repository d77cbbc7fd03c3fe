"""`vtv bench scopes`: decoding the whole canvas, as published, against decoding the answer's quadrant alone.

Held-out episodes, each task with its bundled vector and settings, float32 without compilation. The gain is paired by
episode; a gain above 0 speaks for the answer alone.
"""

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Final

import numpy as np
import torch

from artifacts.console import say
from artifacts.data.datasets import find_task, splits
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import BATCH, batches, device_of, refined
from artifacts.job import TEST_SEED, frozen_model
from artifacts.store.open import open_store
from engine.bank import Bank
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.network import ZeroShot
from engine.program import Scope
from engine.task_vector import TaskVector

_SLOT: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A task's score by scope: as decoded, and refined as the task's artifact says."""

    task: str
    metric: str
    decoded: dict[Scope, Interval]
    refined: dict[Scope, Interval]
    gain: Interval
    """Of the refined answers."""


@dataclass(slots=True)
class Painter:
    """Runs the zero-shot program in both scopes, in turns, and adds up how long each takes."""

    model: MaeVqgan
    seconds: dict[Scope, float] = field(default_factory=lambda: dict.fromkeys(Scope, 0.0))
    images: int = 0

    @torch.inference_mode()
    def paint(self, episodes: Episodes, vector: TaskVector) -> dict[Scope, Pixels]:
        """Answers uint8 [N,cell,cell,3] by scope."""
        device = device_of(self.model)
        bank = Bank(self.model.config.mae, self.model.program("zero_shot"), _SLOT + 1, device)
        bank.write(_SLOT, vector)
        answers: dict[Scope, list[Pixels]] = {scope: [] for scope in Scope}
        for part in batches(episodes):
            tiles = torch.from_numpy(self.model.geometry.query_tile(part.query)).to(device)
            slots = torch.full((len(tiles),), _SLOT, device=device)
            for scope, done in answers.items():
                started = perf_counter()
                done.append(ZeroShot(self.model, scope)(tiles, slots, *bank.tensors()).cpu().numpy())
                self.seconds[scope] += perf_counter() - started
            self.images += len(tiles)
        return {scope: np.concatenate(parts) for scope, parts in answers.items()}


def main(asked: Namespace) -> int:
    """The command. Returns 0; raises OfflineError for data that cannot be used."""
    model, fingerprint = frozen_model(asked.model)
    store, scenes = open_store(asked.store), splits(asked.dataset, model.geometry)["test"]
    painter = Painter(model)
    rows = []
    for artifact in store.painted():
        name = artifact.task
        task = find_task(name, asked.dataset)
        say(f"{name}: {asked.episodes} episodes, in both scopes")
        episodes = make_episodes(scenes, task, asked.episodes, TEST_SEED)
        rows.append(compare(painter, name, task.metric, episodes, store.read(name, fingerprint).vector))
    milliseconds = {scope: 1e3 * spent / painter.images for scope, spent in painter.seconds.items()}
    report = {
        "device": str(device_of(model)),
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "episodes": asked.episodes,
        "ms_an_image": milliseconds,
        "rows": [asdict(row) for row in rows],
    }
    if asked.output:
        asked.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if asked.json else table(rows, milliseconds))
    return 0


def compare(painter: Painter, name: str, metric: str, episodes: Episodes, vector: TaskVector) -> Row:
    """Both scopes on the same episodes."""
    decoded = painter.paint(episodes, vector)
    device = device_of(painter.model)
    finished = {scope: refined(cells, episodes.query, vector.answer, device) for scope, cells in decoded.items()}
    raw, own = (
        {scope: METRICS[metric].score(pixels, episodes.answer) for scope, pixels in answers.items()}
        for answers in (decoded, finished)
    )
    return Row(
        name,
        metric,
        {scope: interval(scores) for scope, scores in raw.items()},
        {scope: interval(scores) for scope, scores in own.items()},
        interval(METRICS[metric].as_loss(own[Scope.CANVAS] - own[Scope.ANSWER])),
    )


def table(rows: Sequence[Row], milliseconds: dict[Scope, float]) -> str:
    """Markdown."""
    lines = [
        "| task | canvas, as decoded | answer, as decoded | canvas, refined | answer, refined | gain, paired |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [of[scope] for of in (row.decoded, row.refined) for scope in (Scope.CANVAS, Scope.ANSWER)]
        lines.append(f"| {row.task} ({row.metric}) | {' | '.join(map(str, cells))} | {row.gain} |")
    times = ", ".join(f"{scope} {spent:.1f} ms" for scope, spent in milliseconds.items())
    return "\n".join([*lines, "", f"An image, batches of {BATCH}: {times}"])
