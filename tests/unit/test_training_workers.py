"""Gradients of several workers: averaged over all, whichever batch reached which parameter."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from training.workers import Workers


def averaged(rank: int, meeting: str) -> None:
    """One of two workers: both reach the first parameter, one the second, none the third."""
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    both, one, none = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    both.grad = torch.full((2,), 1.0 + rank)
    if rank == 1:
        one.grad = torch.full((2,), 4.0)
    Workers().average_gradients([both, one, none])
    assert both.grad.tolist() == [1.5, 1.5]
    assert one.grad is not None
    assert one.grad.tolist() == [2.0, 2.0]
    assert none.grad is None
    dist.barrier()
    dist.destroy_process_group()


def test_a_gradient_that_one_worker_lacks_is_zero_there(tmp_path: Path) -> None:
    mp.spawn(averaged, (f"file://{tmp_path / 'meeting'}",), nprocs=2)
