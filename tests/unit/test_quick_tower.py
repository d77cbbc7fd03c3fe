"""Rounding for bfloat16."""

import torch

from engine.quick_tower import rounded


def test_rounded_filters_are_bfloat16_and_keep_their_sums() -> None:
    filters = torch.randn(64, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    kept = rounded(filters)
    assert torch.equal(kept, kept.bfloat16().float())
    assert float((kept - filters).abs().max()) < 2**-7 * float(filters.abs().max())
    off, nearest = ((own.sum((1, 2, 3)) - filters.sum((1, 2, 3))).abs().max() for own in (kept, filters.bfloat16()))
    assert off < 0.05 * nearest
