"""Where a task vector writes: the share of each head's sites, by token group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.geometry import Geometry
from engine.program import one_shot, zero_shot
from engine.task_vector import TaskVector

NAMES = {
    "zero_shot": (("class", "query"), ("class", "query", "answer")),
    "one_shot": (
        ("class", "example input", "example output", "query"),
        ("class", "example input", "example output", "query", "answer"),
    ),
}
PROGRAMS = {"zero_shot": zero_shot, "one_shot": one_shot}
EMPTY, FULL = ".", "#"


@dataclass(frozen=True, slots=True)
class SiteGroup:
    """A part's token group of `tokens` tokens: `share` [L,H] of them written, from 0 to 1."""

    part: str
    name: str
    tokens: int
    share: NDArray[np.float64]

    @property
    def sites(self) -> int:
        """How many sites are written."""
        return round(float(self.share.sum()) * self.tokens)


def site_groups(vector: TaskVector, geometry: Geometry | None = None) -> list[SiteGroup]:
    """Encoder's groups, then the decoder's; of a vector that does not fit the geometry's program, whole parts."""
    program = PROGRAMS[vector.program](geometry or Geometry())
    names = NAMES[vector.program]
    return [
        *_groups("encoder", vector.encoder_mask, program.encoder_tokens, program.encoder_groups, names[0]),
        *_groups("decoder", vector.decoder_mask, program.decoder_tokens, program.decoder_groups, names[1]),
    ]


def _groups(
    part: str, mask: Tensor, tokens: int, groups: tuple[tuple[int, ...], ...], names: tuple[str, ...]
) -> list[SiteGroup]:
    if mask.shape[1] != tokens:
        groups, names = (tuple(range(mask.shape[1])),), ("all tokens",)
    shares = [mask[:, list(group)].double().mean(1).numpy() for group in groups]
    return [SiteGroup(part, *row) for row in zip(names, map(len, groups), shares, strict=True)]


def site_text(groups: list[SiteGroup]) -> str:
    """For people: a line a layer, a letter a head; `.` nothing, 1 to 9 tenths, `#` everything."""
    lines = []
    for group in groups:
        lines.append(f"{group.part}, {group.name} ({group.tokens} tokens): {group.sites} sites")
        lines += [f"  layer {layer:2}  {' '.join(map(_letter, row))}" for layer, row in enumerate(group.share)]
    return "\n".join(lines)


def _letter(share: float) -> str:
    if share in (0, 1):
        return FULL if share else EMPTY
    return str(min(9, max(1, round(share * 10))))
