"""Steering: the model trains on what it is served with, the query alone under a task's mean head outputs.

While whole prompts are trained on, the outputs of their heads at the class tokens are averaged by pair of views. A
`vector` batch shows queries alone, writes those means where they were read, as a task vector does, and asks for the
pair's answer. So the class tokens learn to carry the task, and to be read. Nothing but such means ever names a task.
"""

import torch
from torch import Tensor

from engine.mae import Edit
from engine.model import MaeVqgan
from engine.overrides import record, write

FORGET = 0.98
"""What one more prompt of a pair leaves of the old mean."""
KEPT = 0.75
"""Share of heads written in every other batch; in the rest all are, so that a search may choose."""


class MeanHeads:
    """Mean outputs at the class token for each of `pairs` pairs: [pairs,L,H,d] of the encoder, and of the decoder."""

    def __init__(self, model: MaeVqgan, pairs: int) -> None:
        mae = model.config.mae
        device = model.mean.device
        self.encoder = torch.zeros(pairs, mae.depth, mae.heads, mae.width // mae.heads, device=device)
        shape = (mae.decoder_depth, mae.decoder_heads, mae.decoder_width // mae.decoder_heads)
        self.decoder = torch.zeros(pairs, *shape, device=device)
        self.seen = torch.zeros(pairs, device=device)

    @property
    def ready(self) -> bool:
        """Whether every pair has been seen."""
        return bool((self.seen > 0).all())

    def recorder(self) -> tuple[list[Tensor], list[Tensor], tuple[Edit, Edit]]:
        """Two lists that the edits fill with each block's heads, of the encoder and of the decoder."""
        encoder: list[Tensor] = []
        decoder: list[Tensor] = []
        return encoder, decoder, (record(encoder), record(decoder))

    def learn(self, pair: Tensor, encoder: list[Tensor], decoder: list[Tensor]) -> None:
        """Take in the heads [B,N,H,d] of every block for prompts of `pair` [B]."""
        for number in pair.unique().tolist():
            rows = pair == number
            count = int(rows.sum())
            keep = FORGET**count if self.seen[number] else 0.0
            for mean, blocks in ((self.encoder, encoder), (self.decoder, decoder)):
                mean[number].lerp_(torch.stack([heads[rows, 0].float().mean(0) for heads in blocks]), 1 - keep)
            self.seen[number] += count

    def edits(self, model: MaeVqgan, pair: Tensor, generator: torch.Generator | None) -> tuple[Edit, Edit]:
        """Write the means of `pair` [B] at the class tokens; with a generator at some of the heads only."""
        program = model.program("zero_shot")
        parts = ((self.encoder, program.encoder_tokens), (self.decoder, program.decoder_tokens))
        first, second = (_edit(mean[pair], tokens, generator) for mean, tokens in parts)
        return first, second

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"encoder": self.encoder, "decoder": self.decoder, "seen": self.seen}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint."""
        for name, value in self.state().items():
            value.copy_(state[name])


def _edit(means: Tensor, tokens: int, generator: torch.Generator | None) -> Edit:
    """Means [B,L,H,d] at the first of `tokens` tokens."""
    rows, layers, heads, width = means.shape
    value = means.new_zeros(layers, rows, tokens, heads, width)
    value[:, :, 0] = means.transpose(0, 1)
    written = torch.ones(layers, 1, heads, dtype=torch.bool, device=means.device)
    if generator is not None:
        written = (torch.rand(layers, 1, heads, generator=generator) < KEPT).to(means.device)
    mask = torch.zeros(layers, rows, tokens, heads, dtype=torch.bool, device=means.device)
    mask[:, :, 0] = written
    return write(value, mask)
