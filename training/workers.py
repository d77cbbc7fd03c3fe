"""Data-parallel training over processes: gradients averaged through gloo or NCCL.

One thread per process is the robust setting on a shared CPU: with several OpenMP threads a step waits at
every operator for the slowest thread, with several processes only once.
Start with `torchrun --nproc-per-node N -m cli train ...`; without torchrun there is one worker.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from artifacts import workers
from engine.device import best_device


class Workers:
    """This process among those that `artifacts.workers.joined` brought together."""

    def __init__(self) -> None:
        self.size, self.rank = workers.size(), workers.rank()
        self.device = torch.device(best_device())
        if self.device.type == "cpu":
            torch.set_num_threads(1)
            torch.set_flush_denormal(True)

    @property
    def lead(self) -> bool:
        """Whether this process logs and saves."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add up over workers, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def from_lead(self, tensor: Tensor) -> Tensor:
        """The lead's values, in place."""
        if self.size > 1:
            dist.broadcast(tensor, 0)
        return tensor

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """One all-reduce over the gradients that any worker has, as a single flat tensor.

        A worker whose batch did not reach a parameter, as one without a mask that asks for none, adds nothing to it.
        """
        if self.size == 1:
            return
        own = list(parameters)
        reached = self.sum_(torch.tensor([float(p.grad is not None) for p in own], device=own[0].device))
        shared = [p for p, count in zip(own, reached.tolist(), strict=True) if count]
        for parameter in shared:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in shared if p.grad is not None]
        flat = self.sum_(torch.cat([g.flatten() for g in gradients])) / self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
