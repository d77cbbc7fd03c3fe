"""One captured graph per bucket, batches copied in and out while others compute.

A batch travels  host -> pinned -> lane -> static buffers -> graph -> lane -> pinned -> host.  A lane belongs to one
batch from `submit` to `result`; static buffers belong to whatever the compute stream runs, so that one graph per
bucket serves every lane, and the copies between are a few microseconds on the device. Installs in the bank go
through the compute stream as well, and so fall between replays.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.backends.protocol import Compiled, Launch
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.network import Buffers, Network
from engine.runner import Slots, bucket_for, fill

log: Final = logging.getLogger("vtv.engine")
IN_FLIGHT: Final = 2


class Event(Protocol):
    """A point in a stream."""

    def synchronize(self) -> None:
        """Let the host wait until the stream has come to it."""


class Stream(Protocol):
    """A queue of work on the device; nothing here waits for it."""

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory on the device, to be used in this stream first."""

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Enqueue a copy."""

    def run(self, work: Callable[[], None]) -> None:
        """Enqueue a graph's replay."""

    def record(self) -> Event:
        """Mark this point."""

    def wait(self, event: Event) -> None:
        """Let later work wait for another stream's point."""


class Device(Protocol):
    """What the runner needs of CUDA; a stand-in in the tests runs streams in every order that events allow."""

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Page-locked memory on the host."""

    def stream(self) -> Stream:
        """A new stream."""

    def buffers(self, network: Network, bucket: int) -> Buffers:
        """Static buffers of a bucket, with the engine's bank."""

    def capture(self, launch: Launch, stream: Stream) -> Callable[[], None]:
        """Run once, then capture in the pool that all graphs share; returns the replay."""

    def used(self) -> int:
        """Bytes in use on the device."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A line of the report at start-up."""

    program: str
    bucket: int
    seconds: float
    bytes: int


class Streams:
    """The three streams that all programs of an engine share, and the way into the bank."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.inward, self.compute, self.outward = device.stream(), device.stream(), device.stream()

    def install(self, target: Tensor, source: Tensor) -> None:
        """Copy a host tensor into the bank after the batches that are under way; the host does not wait."""
        pinned = self.device.pinned(tuple(source.shape), source.dtype)
        pinned.copy_(source)
        row = self.inward.empty(tuple(source.shape), source.dtype)
        self.inward.copy(row, pinned)
        self.compute.wait(self.inward.record())
        self.compute.copy(target, row)


class Lane:
    """Pinned and device memory of one batch in flight."""

    def __init__(self, streams: Streams, largest: Buffers) -> None:
        device, out = streams.device, largest.output
        given = [largest.pixels] if largest.slot is None else [largest.pixels, largest.slot]
        self.pinned = [device.pinned(tuple(t.shape), t.dtype) for t in given]
        self.inputs = [streams.inward.empty(tuple(t.shape), t.dtype) for t in given]
        self.output = streams.compute.empty(tuple(out.shape), out.dtype)
        self.answers = device.pinned(tuple(out.shape), out.dtype)


class InFlight:
    """A batch on its way; the lane is free again after `result`."""

    def __init__(self, lane: Lane, rows: int, done: Event, release: Callable[[Lane], None]) -> None:
        self._lane, self._rows, self._done, self._release = lane, rows, done, release
        self._collected = False

    def result(self) -> Pixels:
        if self._collected:
            raise EngineError("the answers of a batch are given out once")
        self._collected = True
        self._done.synchronize()
        answers: Pixels = np.array(self._lane.answers.numpy()[: self._rows])
        self._release(self._lane)
        return answers


class GraphRunner:
    """One network's graphs, captured largest bucket first so that the smaller ones fit into its memory."""

    def __init__(self, network: Network, compiled: Compiled, buckets: tuple[int, ...], streams: Streams) -> None:
        self.network, self.compiled, self.buckets, self.streams = network, compiled, buckets, streams
        self.report: list[Captured] = []
        self._graphs: dict[int, tuple[Buffers, Callable[[], None]]] = {}
        self._free: deque[Lane] = deque()

    def prepare(self) -> None:
        """Capture every bucket, once."""
        if self._graphs:
            return
        for bucket in reversed(self.buckets):
            self._graphs[bucket] = self._capture(bucket)
        largest, _ = self._graphs[self.buckets[-1]]
        self._free.extend(Lane(self.streams, largest) for _ in range(IN_FLIGHT))

    def submit(self, pixels: Pixels, slots: Slots) -> InFlight:
        """Enqueue a batch; raises EngineError where two are in flight already."""
        self.prepare()
        bucket = bucket_for(self.buckets, len(pixels))
        if not self._free:
            raise EngineError(f"{IN_FLIGHT} batches are in flight: collect one first")
        lane = self._free.popleft()
        fill(lane.pinned[0][:bucket], lane.pinned[1][:bucket] if len(lane.pinned) > 1 else None, pixels, slots)
        return InFlight(lane, len(pixels), self._enqueue(lane, bucket), self._free.append)

    def _enqueue(self, lane: Lane, bucket: int) -> Event:
        static, replay = self._graphs[bucket]
        inward, compute, outward = self.streams.inward, self.streams.compute, self.streams.outward
        for target, source in zip(lane.inputs, lane.pinned, strict=True):
            inward.copy(target[:bucket], source[:bucket])
        compute.wait(inward.record())
        for target, source in zip(static.inputs, lane.inputs, strict=False):  # the bank stays where it is
            compute.copy(target, source[:bucket])
        compute.run(replay)
        compute.copy(lane.output[:bucket], static.output)
        outward.wait(compute.record())
        outward.copy(lane.answers[:bucket], lane.output[:bucket])
        return outward.record()

    def _capture(self, bucket: int) -> tuple[Buffers, Callable[[], None]]:
        device, started = self.streams.device, time.perf_counter()
        before = device.used()
        static = device.buffers(self.network, bucket)
        replay = device.capture(self.compiled.bind(static), self.streams.compute)
        line = Captured(self.network.name, bucket, time.perf_counter() - started, device.used() - before)
        self.report.append(line)
        log.info("%s, bucket %d: captured in %.2f s, %.1f MB", line.program, bucket, line.seconds, line.bytes / 1e6)
        return static, replay
