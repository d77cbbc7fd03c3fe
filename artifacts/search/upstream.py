"""`vtv import-upstream`: the public research code's two pickles become an artifact.

Its means hold, per head, `W_h x_h + b`: the head through its own columns of the output projection, with the
whole bias (docs/architecture.md, Decisions). Those columns have full rank, so least squares gives x_h back; what it
leaves over tells whether the file belongs to this model.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from artifacts.collect.means import Means
from artifacts.errors import OfflineError
from artifacts.pickles.plain import as_tensor, read_pickle
from artifacts.provenance import made_now
from artifacts.search.granularity import GRANULARITIES, Variables
from artifacts.tasks import COMPOSITES, TASKS
from engine.config import MaeConfig
from engine.mae import Attention
from engine.model import MaeVqgan
from engine.program import Program
from engine.task_vector import PUBLISHED_ANSWER, TaskVector, site_shapes

RESIDUAL_LIMIT = 1e-3
"""Relative. Rounding leaves some 1e-6; another model's projection leaves about one."""

MOST_LOGITS = 10_000_000
"""A hundred times the sites of the largest model; a pickle may name one array as often as it likes."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """An imported task vector, how many prompts its means are over, its granularity, and the worst residual."""

    vector: TaskVector
    prompts: int
    granularity: str
    residual: float


def import_upstream(model: MaeVqgan, fingerprint: str, task: str, means: Path, bernoullis: Path) -> Upstream:
    """Read both pickles for a model; raises OfflineError when they do not belong to it.

    A variable is on where its logit is above 0, its likelier half: the public code draws a sample instead.
    """
    count, *recorded = read_means(means)
    found, worst = [], 0.0
    shapes = site_shapes(model.config.mae, model.program("one_shot"))
    parts = (("encoder", model.mae.blocks), ("decoder", model.mae.decoder_blocks))
    for (part, blocks), projected in zip(parts, recorded, strict=True):
        heads, residual = unproject(means, part, projected, blocks, shapes[part])
        found.append(heads)
        worst = max(worst, residual)
    if not worst <= RESIDUAL_LIMIT:
        raise OfflineError(f"{means} is of another model: its means leave a residual of {worst:.2g}")
    values = Means(found[0], found[1], task, fingerprint, count).for_program(
        model.program("zero_shot"), model.program("one_shot")
    )
    logits = read_logits(bernoullis)
    variables = variables_of(bernoullis, len(logits), model.config.mae, model.program("zero_shot"))
    encoder, decoder = variables[1].expand((logits > 0)[None])
    vector = TaskVector(
        values[0],
        encoder[:, 0].contiguous(),
        values[1],
        decoder[:, 0].contiguous(),
        "zero_shot",
        fingerprint,
        PUBLISHED_ANSWER,
    )
    return Upstream(vector, count, variables[0], worst)


def describe_upstream(task: str, found: Upstream) -> dict[str, str]:
    """Artifact metadata of an import."""
    known = {**TASKS, **COMPOSITES}.get(task)
    return {
        "task": task,
        "description": known.description if known else "",
        "granularity": found.granularity,
        "method": "reinforce, imported",
        "seed": "unknown",
        "prompts": str(found.prompts),
        "dataset": "unknown",
        "metric": json.dumps({"name": known.metric if known else None, "value": None}),
        "residual": f"{found.residual:.2g}",
        **made_now(),
    }


def read_means(path: Path) -> tuple[int, Tensor, Tensor]:
    """`[count, encoder, decoder]`: how many prompts, and tensors [L,1,N,H,C]; raises OfflineError."""
    data = read_pickle(path)
    if not isinstance(data, list | tuple) or len(data) != 3 or type(data[0]) is not int or not 0 < data[0] < 2**63:
        raise OfflineError(f"{path} is not a mean-activation file: a list of a count and two tensors")
    tensors = [as_tensor(part) for part in data[1:]]
    if any(tensor is None or tensor.dim() != 5 or tensor.shape[1] != 1 for tensor in tensors):
        raise OfflineError(f"{path} does not hold activations [layers, 1, tokens, heads, channels]")
    assert tensors[0] is not None
    assert tensors[1] is not None
    return data[0], tensors[0], tensors[1]


def read_logits(path: Path) -> Tensor:
    """A list of scalars, or one array: float64 [n]; raises OfflineError."""
    data = read_pickle(path)
    parts = [as_tensor(part) for part in data] if isinstance(data, list | tuple) else [as_tensor(data)]
    if not parts or any(part is None for part in parts):
        raise OfflineError(f"{path} does not hold Bernoulli logits")
    if sum(part.numel() for part in parts if part is not None) > MOST_LOGITS:
        raise OfflineError(f"{path} holds more than {MOST_LOGITS} logits")
    logits = torch.cat([part.double().flatten() for part in parts if part is not None])
    if not bool(torch.isfinite(logits).all()):
        raise OfflineError(f"{path} holds logits that are not finite")
    return logits


def unproject(
    path: Path, part: str, projected: Tensor, blocks: nn.ModuleList, wanted: tuple[int, int, int, int]
) -> tuple[Tensor, float]:
    """Projected heads [L,1,N,H,C] -> heads float32 [L,N,H,d] (`wanted`), and the worst relative residual."""
    layers, tokens, heads, depth = wanted
    shape = (layers, 1, tokens, heads, heads * depth)
    if tuple(projected.shape) != shape:
        raise OfflineError(f"{path}: the {part} holds {tuple(projected.shape)}, this model records {shape}")
    out, worst = torch.empty(wanted), 0.0
    for layer, block in enumerate(blocks):
        attention = block.get_submodule("attn")
        assert isinstance(attention, Attention)
        weight, bias = attention.proj.weight.double().cpu(), attention.proj.bias.double().cpu()
        for head in range(heads):
            columns = weight[:, head * depth : (head + 1) * depth]
            target = (projected[layer, 0, :, head].double() - bias).T
            solved = torch.linalg.lstsq(columns, target).solution
            out[layer, :, head] = solved.T.float()
            worst = max(worst, float((columns @ solved - target).norm() / target.norm().clamp(min=1e-12)))
    return out, worst


def variables_of(path: Path, count: int, config: MaeConfig, program: Program) -> tuple[str, Variables]:
    """The granularity that has `count` variables."""
    every = {granularity: Variables(config, program, granularity) for granularity in GRANULARITIES}
    for granularity, variables in every.items():
        if variables.count == count:
            return granularity, variables
    known = ", ".join(f"{v.count} ({g})" for g, v in every.items())
    raise OfflineError(f"{path} holds {count} logits; this model has {known} variables")
