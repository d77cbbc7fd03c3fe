"""Several processes of one offline job, one a GPU or core, started by torchrun: each step's pieces are dealt out.

    torchrun --nproc-per-node 4 -m cli build --dataset ...

Every process draws the same random numbers and takes the same decisions; only forward passes are shared, and all get
what each gave, so the result is one process's. The first process alone writes files. Without torchrun there is one
worker, and nothing here does anything.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@contextmanager
def joined() -> Iterator[None]:
    """Work with the other processes, if torchrun started any; each takes a GPU of its own, or one thread."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl")
    else:
        torch.set_num_threads(1)
        dist.init_process_group("gloo")
    try:
        yield
        dist.barrier()  # who leaves while another still speaks to it may end with an abort, its work done
    finally:
        dist.destroy_process_group()


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if dist.is_initialized() else 0


def lead() -> bool:
    """Whether this process tells and writes."""
    return rank() == 0


def dealt(own: list[T], count: int) -> list[T]:
    """`count` results in order, of which process r has `own`, numbers r, r + size, r + 2 size and so on."""
    if not dist.is_initialized():
        return own
    every: list[list[T]] = [[] for _ in range(size())]
    dist.all_gather_object(every, own)
    return [every[number % size()][number // size()] for number in range(count)]


def by_lead(action: Callable[[], T]) -> T:
    """What `action` gives in the lead, in every process, which waits for it."""
    if not dist.is_initialized():
        return action()
    held = [action() if lead() else None]
    dist.broadcast_object_list(held, 0)
    result: T = held[0]  # type: ignore[assignment]
    return result
