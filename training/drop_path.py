"""Stochastic depth (Huang et al., ECCV 2016): while training, a block's two parts are left out at random, row by row.

For a deep model of few photographs: blocks that may be missing cannot learn a picture by heart together. What is kept
is scaled up, so that answers without it, as served, have the same mean.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.mae import Block, Mae


def drop_paths(mae: Mae, rate: float, generator: torch.Generator) -> None:
    """From now on leave out parts of rows while gradients are recorded: none in the first block of encoder and
    decoder, `rate` in the last, in between in proportion. Draws come from `generator`, on the CPU."""
    for stack in (mae.blocks, mae.decoder_blocks):
        for block, share in zip(stack, torch.linspace(0, rate, len(stack)).tolist(), strict=True):
            assert isinstance(block, Block)
            for part in (block.attn, block.mlp):
                part.register_forward_hook(_dropper(share, generator))


def _dropper(rate: float, generator: torch.Generator) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
    def drop(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return output
        kept = torch.rand(len(output), 1, 1, generator=generator) >= rate
        return output * kept.to(output) / (1 - rate)

    return drop
