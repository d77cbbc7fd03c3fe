"""Stochastic depth: rows lose parts of blocks while training, on average nothing, and nothing as served."""

import torch

from engine.config import MaeConfig
from engine.mae import Mae
from training.drop_path import drop_paths
from training.start import initialise

CONFIG = MaeConfig(width=32, depth=3, heads=2, decoder_width=16, decoder_depth=2, decoder_heads=2)


def mae(rate: float) -> Mae:
    torch.manual_seed(0)
    made = Mae(CONFIG)
    initialise(made)
    drop_paths(made, rate, torch.Generator().manual_seed(1))
    return made


def encoded(made: Mae, rows: int = 64) -> torch.Tensor:
    one = torch.randn(1, 5, CONFIG.width, generator=torch.Generator().manual_seed(2))
    return made.encode(one.expand(rows, -1, -1))


@torch.no_grad()
def test_nothing_is_left_out_as_served() -> None:
    assert torch.equal(encoded(mae(0.9)), encoded(mae(0.0)))


def test_rows_lose_parts_of_their_own_while_training() -> None:
    rows = encoded(mae(0.5))
    assert not torch.allclose(rows, encoded(mae(0.0)))
    assert len(rows.detach().round(decimals=4).unique(dim=0)) > 4


def test_the_mean_of_a_part_stays() -> None:
    block = mae(0.5).blocks[-1]
    tokens = torch.randn(1, 5, CONFIG.width, generator=torch.Generator().manual_seed(2)).expand(4000, -1, -1)
    dropped = block.mlp(tokens)
    kept = (dropped != 0).flatten(1).any(1)
    assert 0.45 < kept.float().mean() < 0.55
    with torch.no_grad():
        whole = block.mlp(tokens[:1])
    assert torch.allclose(dropped[kept][:1], 2 * whole, atol=1e-5)
    assert not dropped[~kept].any()


def test_the_first_block_is_always_there() -> None:
    first = mae(0.9).blocks[0]
    tokens = torch.randn(8, 5, CONFIG.width)
    output = first.mlp(tokens)
    with torch.no_grad():
        assert torch.equal(output.detach(), first.mlp(tokens))
