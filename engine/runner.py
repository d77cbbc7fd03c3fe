"""Runs a compiled network on batches of any size up to the largest bucket: padded up, and the padding cut off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from engine.errors import EngineError
from engine.geometry import Pixels
from engine.network import Network

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
