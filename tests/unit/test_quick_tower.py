"""Rounding for bfloat16, and which rows it leaves undecided."""

import torch

from engine.classification.bank import HeadBank
from engine.classification.head import Head, unit
from engine.quick_tower import rounded


def test_rounded_filters_are_bfloat16_and_keep_their_sums() -> None:
    filters = torch.randn(64, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    kept = rounded(filters)
    assert torch.equal(kept, kept.bfloat16().float())
    assert float((kept - filters).abs().max()) < 2**-7 * float(filters.abs().max())
    off, nearest = ((own.sum((1, 2, 3)) - filters.sum((1, 2, 3))).abs().max() for own in (kept, filters.bfloat16()))
    assert off < 0.05 * nearest


def test_rows_near_the_border_of_two_classes_are_undecided() -> None:
    """Classes at 60 degrees, of which features lie 0, 1 and 5 degrees off the middle; another task has one class."""
    bank = HeadBank("tower", 4, 5, 2, torch.device("cpu"))
    turned = torch.deg2rad(torch.tensor([0.0, 60.0]))
    two = unit(torch.stack([turned.cos(), turned.sin()], 1)).contiguous()
    bank.write(1, Head(two, 20.0, ("a", "b"), "tower"))
    bank.write(2, Head(two[:1].contiguous(), 20.0, ("a",), "tower"))
    angles = torch.deg2rad(torch.tensor([30.0, 31.0, 25.0, 30.0]))
    features = torch.stack([angles.cos(), angles.sin()], 1)
    slots = [1, 1, 1, 2]
    scores = bank.scores(features, slots)
    assert bank.undecided(scores, slots, 0.01) == [0]
    assert bank.undecided(scores, slots, 0.02) == [0, 1]  # sin(1 degree) = 0.0175
    assert bank.undecided(scores, slots, 0.1) == [0, 1, 2]  # sin(5 degrees) = 0.087
    assert bank.undecided(torch.full_like(scores, float("nan")), slots, 0.1) == []
