"""Which sites to write, by REINFORCE (Hojel et al., Finding Visual Task Vectors, ECCV 2024, section 3).

Every step draws masks from independent Bernoullis, answers the same few queries with each, and moves the
Bernoullis towards the masks that answered better. Samples run as rows of one batch, each with its own mask.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artifacts.episodes import Episodes, to_pixels
from artifacts.evaluation.metrics import HIGHER_IS_BETTER, METRICS
from artifacts.forward import BATCH, answer_cells, device_of, run_logits
from artifacts.search.granularity import Variables
from artifacts.search.reinforce import reinforce_loss
from artifacts.tasks import Task
from engine.model import MaeVqgan
from engine.overrides import write

TEMPERATURE = 0.5  # while searching: the expected code tells neighbouring masks apart better than argmax
CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """`samples` masks on `images` queries a step; the published search uses 320 on 10 for 500 steps at 0.1.

    `method` is `reinforce` or `gates`, which takes `samples` queries a step with one mask each and minimises
    the `objective`, `pixel` or `token`. `prune`: how much of its validation loss a mask may lose to be
    smaller, as a share; None leaves it.
    """

    granularity: str = "group"
    steps: int = 60
    samples: int = 16
    images: int = 4
    rate: float = 0.15
    initial_logit: float = -1.0
    seed: int = 0
    method: str = "reinforce"
    objective: str = "pixel"
    prune: float | None = None


class Search:
    """One search for one task over fixed values."""

    def __init__(self, model: MaeVqgan, task: Task, values: tuple[Tensor, Tensor], settings: SearchSettings) -> None:
        self.model, self.task, self.settings = model, task, settings
        device = device_of(model)
        self.values = tuple(value.to(device) for value in values)
        self.variables = Variables(model.config.mae, model.program("zero_shot"), settings.granularity)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.draw = np.random.default_rng(settings.seed)
        self.logits = torch.full((self.variables.count,), settings.initial_logit, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=settings.rate)

    def step(self, train: Episodes) -> float:
        """One update; returns the mean loss of its samples (IoU enters as minus IoU)."""
        queries = train.part(self.draw.choice(len(train), self.settings.images, replace=False))
        samples = self.sample(self.settings.samples)
        losses = self.losses(samples, queries)
        loss = reinforce_loss(self.logits, samples, losses, 0.0, None)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(losses.mean())

    def sample(self, count: int) -> Tensor:
        """`count` masks over the variables, float {0, 1}: [count,n]."""
        probability = torch.sigmoid(self.logits.detach())
        return torch.bernoulli(probability.expand(count, -1), generator=self.generator)

    def losses(self, samples: Tensor, queries: Episodes) -> Tensor:
        """Mean loss over the queries of each sample [S,n] -> [S]."""
        rows = samples.bool().repeat_interleave(len(queries), 0)
        index = np.tile(np.arange(len(queries)), len(samples))
        scores = []
        for start in range(0, len(rows), 2 * BATCH):
            chosen = queries.part(index[start : start + 2 * BATCH])
            scores.append(self._scores(rows[start : start + 2 * BATCH], chosen))
        return torch.cat(scores).view(len(samples), len(queries)).mean(1)

    def _scores(self, rows: Tensor, queries: Episodes) -> Tensor:
        masks = self.variables.expand(rows)
        device = device_of(self.model)
        edits = tuple(write(v[:, None], m.to(device)) for v, m in zip(self.values, masks, strict=True))
        with torch.autocast(device.type, torch.bfloat16), torch.inference_mode():
            tiles = self.model.geometry.query_tile(queries.query)
            logits = run_logits(self.model, "zero_shot", tiles, (edits[0], edits[1]))
            painted = to_pixels(answer_cells(self.model, logits, TEMPERATURE).float())
        sign = -1.0 if HIGHER_IS_BETTER[self.task.metric] else 1.0
        return torch.from_numpy(sign * METRICS[self.task.metric](painted, queries.answer))

    def candidates(self) -> Tensor:
        """The likelier half of every Bernoulli, and samples: [CANDIDATES,n]."""
        return torch.cat([(self.logits.detach() > 0).float()[None], self.sample(CANDIDATES - 1)])
