"""Search variables: which sites one Bernoulli switches together."""

import torch
from torch import Tensor
from torch.nn import functional as F

from artifacts.errors import OfflineError
from engine.config import MaeConfig
from engine.program import Program

GRANULARITIES = ("head", "group", "token")


class Variables:
    """The variables of a program at a granularity, ordered by layer, head, then group or token; encoder first.

    `count` variables; `encoder_index` [L,N,H] and `decoder_index` give each site's variable. With `restrict`,
    `encoder` or `decoder`, the other part's sites have none: their index is `count`.
    """

    def __init__(self, config: MaeConfig, program: Program, granularity: str, restrict: str | None = None) -> None:
        if granularity not in GRANULARITIES:
            raise OfflineError(f"granularity {granularity!r} is none of {', '.join(GRANULARITIES)}")
        encoder = _members(granularity, program.encoder_tokens, program.encoder_groups)
        decoder = _members(granularity, program.decoder_tokens, program.decoder_groups)
        self.encoder_index = _site_index(config.depth, config.heads, encoder)
        self.decoder_index = _site_index(config.decoder_depth, config.decoder_heads, decoder)
        encoder_count, decoder_count = int(self.encoder_index.max()) + 1, int(self.decoder_index.max()) + 1
        self.count = encoder_count if restrict == "encoder" else decoder_count
        if restrict is None:
            self.count += encoder_count
            self.decoder_index += encoder_count
        elif restrict == "encoder":
            self.decoder_index = torch.full_like(self.decoder_index, self.count)
        else:
            self.encoder_index = torch.full_like(self.encoder_index, self.count)

    def class_tokens(self) -> Tensor:
        """1 for each variable that switches sites of class tokens and no others [count]; the rest are 0."""
        own, others = torch.zeros(self.count + 1), torch.zeros(self.count + 1)
        for index in (self.encoder_index, self.decoder_index):
            own[index[:, 0]] = 1
            others[index[:, 1:]] = 1
        return (own * (1 - others))[: self.count]

    def spread(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """A number for each variable [...,count] -> one for each site of encoder and decoder [...,L,N,H].

        Sites without a variable get zero.
        """
        padded = F.pad(values, (0, 1))
        return padded[..., self.encoder_index], padded[..., self.decoder_index]

    def expand(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [B,count] -> encoder and decoder masks [L,B,N,H], same type."""
        encoder, decoder = self.spread(samples)
        return encoder.transpose(0, 1), decoder.transpose(0, 1)


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
