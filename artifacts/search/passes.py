"""What a search computes with the model: pieces that any process can compute."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from artifacts.data.episodes import to_pixels
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import answer_cells, answer_codes, device_of, run_logits, to_planes
from artifacts.search.granularity import Variables
from engine.device import fast_autocast
from engine.geometry import Pixels
from engine.mae import Edit
from engine.model import MaeVqgan
from engine.overrides import write
from engine.program import Scope

TEMPERATURE = 0.5  # while searching: the expected code tells neighbouring masks apart better than argmax
Values = tuple[Tensor, Tensor]
"""Of encoder and decoder, float32 [L,N,H,d]."""
Rows = tuple[Tensor, NDArray[np.int64]]
"""A piece: masks over the variables [R,n], and the number of each one's query [R]."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries and true answers uint8 [Q,cell,cell,3]; for the token objective the answers' codes [Q,P]."""

    queries: Pixels
    answers: Pixels
    codes: Tensor | None


def mask_edits(variables: Variables, values: Values, rows: Tensor, device: torch.device) -> tuple[Edit, Edit]:
    """The overrides of masks over the variables, bool [B,n], one a row."""
    encoder, decoder = (
        write(value.to(device)[:, None], mask.to(device))
        for value, mask in zip(values, variables.expand(rows), strict=True)
    )
    return encoder, decoder


@torch.inference_mode()
def mask_losses(
    model: MaeVqgan, variables: Variables, values: Values, metric: str, asked: Asked, piece: Rows
) -> Tensor:
    """The loss of each row, float64 [R]: cross-entropy to codes where there are some, else by the metric."""
    masks, place = piece
    device = device_of(model)
    with fast_autocast(device):
        tiles = model.geometry.query_tile(asked.queries[place])
        logits = run_logits(model, "zero_shot", tiles, mask_edits(variables, values, masks.bool(), device))
        if asked.codes is not None:
            codes = asked.codes[torch.from_numpy(place)].to(device)
            return F.cross_entropy(logits.transpose(1, 2), codes, reduction="none").mean(1).double().cpu()
        painted = to_pixels(answer_cells(model, logits, TEMPERATURE).float())
    losses = METRICS[metric].as_loss(METRICS[metric].score(painted, asked.answers[place]))
    return torch.from_numpy(losses).double()


def true_codes(model: MaeVqgan, answers: Pixels) -> Tensor:
    """Codes of true answers [N,P]."""
    return answer_codes(model, answers).cpu()


@dataclass(frozen=True, slots=True)
class Gates:
    """What a step of a gradient search differentiates: `logits` [n] and, where they are `tuned`, the values.

    The loss of a step is the mean over its `samples`, plus `regularisation` times the mean probability.
    """

    variables: Variables
    logits: Tensor
    values: Values
    tuned: bool
    regularisation: float
    samples: int


def gate_gradients(model: MaeVqgan, gates: Gates, asked: Asked, piece: Rows) -> tuple[float, list[Tensor]]:
    """A piece's share of the loss, and of the gradients of logits and tuned values."""
    weight = len(piece[0]) / gates.samples
    logits = gates.logits.clone().requires_grad_()
    encoder, decoder = (value.to(device_of(model)) for value in gates.values)
    if gates.tuned:
        encoder, decoder = encoder.clone().requires_grad_(), decoder.clone().requires_grad_()
    loss = gate_loss(model, gates.variables, logits, (encoder, decoder), asked, piece) * weight
    (loss + weight * gates.regularisation * logits.sigmoid().mean()).backward()
    gradients = [leaf.grad.cpu() for leaf in (logits, encoder, decoder) if leaf.grad is not None]
    return float(loss.detach()), gradients


def gate_loss(
    model: MaeVqgan, variables: Variables, logits: Tensor, values: Values, asked: Asked, piece: Rows
) -> Tensor:
    """Differentiable mean loss of a piece: cross-entropy to codes where there are some, else of pixels."""
    samples, place = piece
    device = device_of(model)
    masks = variables.expand(samples.bool())
    chance = logits.sigmoid()
    slopes = variables.spread(chance - chance.detach())
    edits = [gated(v, m.to(device), s.to(device)) for v, m, s in zip(values, masks, slopes, strict=True)]
    planes = model.normalise(to_planes(model.geometry.query_tile(asked.queries[place]), device))
    with fast_autocast(device):
        found = model.logits("zero_shot", planes, *edits, scope=Scope.ANSWER).float()
        if asked.codes is not None:
            return F.cross_entropy(found.flatten(0, 1), asked.codes[torch.from_numpy(place)].to(device).flatten())
        painted = answer_cells(model, found, TEMPERATURE).float()
    return ((painted - to_planes(asked.answers[place], device)) / model.std).square().mean()


def gated(value: Tensor, mask: Tensor, slope: Tensor) -> Edit:
    """Write value [L,N,H,d] where mask [L,B,N,H]; slope [L,N,H] is zero, and carries the gradient of the gates.

    The output is exactly that of `engine.overrides.write`; with respect to a gate its gradient is value - heads.
    """

    def edit(block: int, heads: Tensor) -> Tensor:
        own = value[block].to(heads.dtype)
        hard = torch.where(mask[block][..., None], own, heads)
        return hard + slope[block][..., None].to(heads.dtype) * (own - heads).detach()

    return edit
