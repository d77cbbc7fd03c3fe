"""Edits of head outputs: writing task vectors, and recording.

`heads = where(mask, value, heads)` before the output projection is exactly what the public code does after
it, at a sixteenth of the memory (docs/architecture.md, Decisions).
"""

import torch
from torch import Tensor

from engine.mae import Edit


def write(value: Tensor, mask: Tensor) -> Edit:
    """Same for every row, or per row: value [L,N,H,d] or [L,B,N,H,d], mask [L,N,H] or [L,B,N,H]."""

    def edit(block: int, heads: Tensor) -> Tensor:
        return torch.where(mask[block][..., None], value[block].to(heads.dtype), heads)

    return edit


def write_slots(value: Tensor, mask: Tensor, slot: Tensor) -> Edit:
    """From the bank: value [L,S,N,H,d], mask bool [L,S,N,H,1], slot int64 [B].

    The batch's rows are gathered once, before any block: compilers that gather per block copy the whole bank,
    and the cost would grow with its slots.
    """
    values, masks = value.index_select(1, slot), mask.index_select(1, slot)

    def edit(block: int, heads: Tensor) -> Tensor:
        return torch.where(masks[block], values[block].to(heads.dtype), heads)

    return edit


def record(into: list[Tensor]) -> Edit:
    """Append every block's head outputs [B,N,H,d], unchanged."""

    def edit(block: int, heads: Tensor) -> Tensor:
        into.append(heads.detach())
        return heads

    return edit
