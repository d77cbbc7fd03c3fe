"""Which sites to write, by REINFORCE (Hojel et al., Finding Visual Task Vectors, ECCV 2024, section 3).

Every step draws masks from independent Bernoullis, answers the same few queries with each, and moves the
Bernoullis towards the masks that answered better. Samples run as rows of one batch, each with its own mask.
"""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.data.episodes import Episodes
from artifacts.forward import device_of
from artifacts.pieces.here import Here
from artifacts.pieces.protocol import Pieces
from artifacts.resume import State
from artifacts.search.granularity import Variables
from artifacts.search.passes import Asked, Rows, Values, mask_edits, mask_losses, true_codes
from artifacts.search.reinforce import reinforce_loss
from artifacts.search.settings import SearchSettings
from artifacts.tasks.task import Task
from engine.mae import Edit
from engine.model import MaeVqgan

CANDIDATES = 8


class Search:
    """One search for one task over given values. It keeps to one training set.

    `evaluations` counts queries answered by the model, each with a mask. `pieces` computes; by default this process.
    """

    def __init__(
        self, model: MaeVqgan, task: Task, values: Values, settings: SearchSettings, pieces: Pieces | None = None
    ) -> None:
        self.model, self.task, self.settings = model, task, settings
        self.pieces = pieces or Here(model)
        device = device_of(model)
        self.values = (values[0].to(device), values[1].to(device))
        program = model.program("zero_shot")
        self.variables = Variables(model.config.mae, program, settings.granularity, settings.restrict)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.draw = np.random.default_rng(settings.seed)
        self.logits = torch.full((self.variables.count,), settings.initial_logit, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.logits], lr=settings.rate)
        self.evaluations = 0
        self.codes: Tensor | None = None

    @property
    def steps(self) -> int:
        """How many steps the search takes."""
        return self.settings.steps

    def step(self, train: Episodes) -> float:
        """One update; returns the mean loss of its samples (IoU enters as minus IoU)."""
        samples = self.sample(self.settings.samples)
        return self.update(samples, self.sampled_losses(samples, train))

    def sampled_losses(self, samples: Tensor, train: Episodes) -> Tensor:
        """The loss of each sample [S,n] on images drawn for this step -> [S]."""
        index = self.draw.choice(len(train), min(self.settings.images, len(train)), replace=False)
        queries, codes = train.part(index), self.true_codes(train, index)
        if not self.settings.paired:
            return self.losses(samples, queries, codes)
        each = np.arange(len(samples))
        return self.pair_losses(samples, each, queries, each % len(index), codes)

    def update(self, samples: Tensor, losses: Tensor, groups: Tensor | None = None) -> float:
        """Move the Bernoullis by samples [S,n] and what they cost [S]; `groups` [S]: each sample's task."""
        loss = reinforce_loss(self.logits, samples, losses, self.settings.regularisation, groups)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(losses.mean())

    def sample(self, count: int) -> Tensor:
        """`count` masks over the variables, float {0, 1}: [count,n]."""
        probability = torch.sigmoid(self.logits.detach())
        return torch.bernoulli(probability.expand(count, -1), generator=self.generator)

    def losses(self, samples: Tensor, queries: Episodes, codes: Tensor | None = None) -> Tensor:
        """Mean loss over the queries of each sample [S,n] -> [S]; with their true `codes` [Q,P], cross-entropy."""
        every, size = np.arange(len(samples)), len(queries)
        columns = np.tile(np.arange(size), len(samples))
        return self.pair_losses(samples, every.repeat(size), queries, columns, codes).view(-1, size).mean(1)

    def pair_losses(
        self,
        samples: Tensor,
        rows: NDArray[np.int64],
        queries: Episodes,
        columns: NDArray[np.int64],
        codes: Tensor | None,
    ) -> Tensor:
        """The loss of sample `rows[i]` of [S,n] on query `columns[i]`, for all i -> [R]."""
        shared = self.variables, self.fixed_values(), self.task.metric, Asked(queries.query, queries.answer, codes)
        parts = self.pieces.map(mask_losses, shared, self.rows_of(samples[torch.from_numpy(rows)], columns))
        self.evaluations += len(rows)
        return torch.cat(parts)

    def rows_of(self, samples: Tensor, columns: NDArray[np.int64]) -> list[Rows]:
        """Samples [R,n] on queries `columns` [R], in pieces."""
        size = self.pieces.rows
        return [(samples[i : i + size], columns[i : i + size]) for i in range(0, len(columns), size)]

    def fixed_values(self) -> Values:
        """The values as they are now and stay."""
        return self.values

    def edits(self, rows: Tensor) -> tuple[Edit, Edit]:
        """The overrides of masks over the variables, bool [B,n], one a row."""
        return mask_edits(self.variables, self.values, rows, device_of(self.model))

    def true_codes(self, train: Episodes, index: NDArray[np.int64]) -> Tensor | None:
        """Codes [B,P] of some training answers, for the token objective; the tokenizer reads each once."""
        if self.settings.objective != "token":
            return None
        if self.codes is None:
            self.codes = self.pieces.map(true_codes, (), [train.answer])[0].clone()
        return self.codes[torch.from_numpy(index)]

    def candidates(self) -> Tensor:
        """The likelier half of every Bernoulli, samples, and the class tokens, where they can be told: [CANDIDATES,n].

        Base models are trained to read a task from its means at the class tokens (`training.steering`).
        """
        chosen = [(self.logits.detach() > 0).float()[None]]
        if (tokens := self.variables.class_tokens()).any():
            chosen.append(tokens[None])
        return torch.cat([*chosen, self.sample(CANDIDATES - len(chosen))])

    def state(self) -> State:
        """A copy of all that changes from step to step."""
        return {
            "logits": self.logits.detach().clone(),
            "optimizer": _copied(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "draw": json.dumps(self.draw.bit_generator.state),
            "evaluations": self.evaluations,
        }

    def restore(self, state: State) -> None:
        """The reverse of `state`."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        self.generator.set_state(state["generator"])
        self.draw.bit_generator.state = json.loads(state["draw"])
        self.evaluations = int(state["evaluations"])


def _copied(value: Any) -> Any:
    """Nested dictionaries and lists with their tensors cloned: an optimizer changes its own in place."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
