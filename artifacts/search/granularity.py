"""Search variables: which sites one Bernoulli switches together."""

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from engine.config import MaeConfig
from engine.program import Program

GRANULARITIES = ("head", "group", "token")


class Variables:
    """The variables of a program at a granularity, ordered by layer, head, then group or token; encoder first.

    `count` variables; `encoder_index` [L,N,H] and `decoder_index` give each site's variable.
    """

    def __init__(self, config: MaeConfig, program: Program, granularity: str) -> None:
        if granularity not in GRANULARITIES:
            raise OfflineError(f"granularity {granularity!r} is none of {', '.join(GRANULARITIES)}")
        encoder = _members(granularity, program.encoder_tokens, program.encoder_groups)
        decoder = _members(granularity, program.decoder_tokens, program.decoder_groups)
        self.encoder_index = _site_index(config.depth, config.heads, encoder)
        self.decoder_index = _site_index(config.decoder_depth, config.decoder_heads, decoder)
        self.decoder_index += int(self.encoder_index.max()) + 1
        self.count = int(self.decoder_index.max()) + 1

    def expand(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [B,count] -> encoder and decoder masks [L,B,N,H], same type."""
        return (
            samples[:, self.encoder_index].transpose(0, 1),
            samples[:, self.decoder_index].transpose(0, 1),
        )


def _members(granularity: str, tokens: int, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    """For each token its number among a head's variables: [N]."""
    if granularity == "head":
        return torch.zeros(tokens, dtype=torch.long)
    if granularity == "token":
        return torch.arange(tokens)
    member = torch.empty(tokens, dtype=torch.long)
    for number, group in enumerate(groups):
        member[list(group)] = number
    return member


def _site_index(layers: int, heads: int, member: Tensor) -> Tensor:
    per_head = int(member.max()) + 1
    first = torch.arange(layers)[:, None, None] * heads * per_head + torch.arange(heads)[None, None, :] * per_head
    return first + member[None, :, None]
