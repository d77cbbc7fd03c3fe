"""Runs a compiled network on batches of any size up to the largest bucket: padded up, and the padding cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.backends.protocol import Compiled, Launch
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.network import Buffers, Network, buffers

Slots = Sequence[int]
Answers = NDArray[Any]
"""A row for each picture of a batch: of MAE-VQGAN uint8 [B,cell,cell,3], of a tower with heads float32 [B,C]."""
Row = NDArray[Any]
"""Of one picture."""
Progress = Callable[[str], None]
"""Told what is being made: "building zero_shot, bucket 16, 3 of 9"."""


class Pending(Protocol):
    """A batch under way."""

    def result(self) -> Answers:
        """Its answers, waiting for them where need be. To be asked for once."""


class Runner(Protocol):
    """One network on one device. One thread owns it."""

    def prepare(self) -> None:
        """Make every bucket ready; `submit` is then never the first to use one."""

    def submit(self, pixels: Pixels, slots: Slots) -> Pending:
        """Start a batch uint8 [B,side,side,3] with a slot for each row; `slots` is empty where there is no bank."""


def bucket_for(buckets: tuple[int, ...], batch: int) -> int:
    """The smallest of ascending `buckets` that holds `batch` rows; raises EngineError."""
    for bucket in buckets:
        if bucket >= batch:
            return bucket
    raise EngineError(f"a batch holds at most {buckets[-1]} rows, not {batch}")


def building(network: Network, bucket: int, place: int, of: int) -> str:
    """What `Progress` is told of a bucket."""
    return f"building {network.name}, bucket {bucket}, {place} of {of}"


def fill(pixels: Tensor, slot: Tensor | None, rows: Pixels, slots: Slots) -> None:
    """Write a batch into host tensors of a bucket: what is left over is black with slot 0."""
    into = pixels.numpy()
    into[: len(rows)] = rows
    into[len(rows) :] = 0
    if slot is not None:
        of = slot.numpy()
        of[: len(slots)] = slots
        of[len(slots) :] = 0


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that was computed at once."""

    answers: Answers

    def result(self) -> Answers:
        return self.answers


class HostRunner:
    """On the CPU: computes in the calling thread, each bucket bound when it is first needed."""

    def __init__(
        self,
        network: Network,
        compiled: Compiled,
        buckets: tuple[int, ...],
        bank: tuple[Tensor, ...],
        progress: Progress = lambda line: None,
    ) -> None:
        self.network, self.compiled, self.buckets, self.bank = network, compiled, buckets, bank
        self._progress = progress
        self._ready: dict[int, tuple[Buffers, Launch]] = {}

    def prepare(self) -> None:
        for place, bucket in enumerate(self.buckets, start=1):
            self._progress(building(self.network, bucket, place, len(self.buckets)))
            self._bucket(bucket)

    def submit(self, pixels: Pixels, slots: Slots) -> Done:
        own, launch = self._bucket(bucket_for(self.buckets, len(pixels)))
        fill(own.pixels, own.slot, pixels, slots)
        launch()
        return Done(np.array(own.output.numpy()[: len(pixels)]))

    def _bucket(self, bucket: int) -> tuple[Buffers, Launch]:
        if bucket not in self._ready:
            own = buffers(self.network, bucket, self.bank, torch.device("cpu"))
            self._ready[bucket] = own, self.compiled.bind(own)
        return self._ready[bucket]
