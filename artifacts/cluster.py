"""A Ray cluster (extra `ray`), and what its workers must have in common with who asks them."""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Final

import ray
import torch
from ray.exceptions import RayError

from artifacts.errors import OfflineError, first_line
from artifacts.provenance import code_digest

_CONNECT_SECONDS: Final = 10.0


def join(address: str) -> None:
    """Be a driver of the cluster at an address, `local` for one of this machine's processors; raises OfflineError."""
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise OfflineError(f"there is no Ray cluster at {address}: {first_line(error)}") from None


@contextmanager
def joined(address: str) -> Iterator[None]:
    """As `join`, for a while, and what Ray prints of machines that died goes to standard error."""
    with redirect_stdout(sys.stderr):
        join(address)
        try:
            yield
        finally:
            ray.shutdown()


def gpus() -> int:
    """How many the cluster has."""
    return int(ray.cluster_resources().get("GPU", 0))


def places(threads: int) -> int:
    """How many workers with so many threads its processors have room for; one at least."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)


def prepare_worker(threads: int, wanted: str) -> None:
    """In a worker: compute with so many threads; raises OfflineError where `wanted` is not this code's digest."""
    if code_digest() != wanted:
        raise OfflineError("a worker of the Ray cluster has another version of this program or of torch than this one")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
