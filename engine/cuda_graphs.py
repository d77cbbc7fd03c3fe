"""One captured graph per bucket; a batch is copied in, replayed and copied out on one stream.

    host -> page-locked lane -> static buffers -> graph -> static buffers -> page-locked lane -> host

A lane belongs to one batch from `submit` to `result`, so that the host fills one while the device works from the
other. All of an engine's programs and the installs in its bank share the stream: what was submitted first is done
first, and no event but the last is needed. The copies are a hundredth of the compute (2.4 MB for 32 pictures).
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import Tensor

from engine.backends.protocol import Compiled, Launch
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.gpu import Event, Gpu, Graph
from engine.network import Buffers, Network, buffers
from engine.runner import Answers, Progress, Slots, bucket_for, building, fill

log: Final = logging.getLogger("vtv.engine")
IN_FLIGHT: Final = 2


@dataclass(frozen=True, slots=True)
class Captured:
    """A line of the report at start-up."""

    program: str
    bucket: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class BucketGraph:
    """A graph and everything that it works on.

    A graph holds addresses and kernels, not their owners: a launch that is dropped takes its execution context, its
    loaded code and its scratch memory with it, and a replay would then run on freed memory.
    """

    graph: Graph
    launch: Launch
    static: Buffers


class Lane:
    """Page-locked memory of one batch in flight."""

    def __init__(self, gpu: Gpu, largest: Buffers) -> None:
        self.pixels = gpu.pinned(tuple(largest.pixels.shape), largest.pixels.dtype)
        slot = largest.slot
        self.slot = None if slot is None else gpu.pinned(tuple(slot.shape), slot.dtype)
        self.answers = gpu.pinned(tuple(largest.output.shape), largest.output.dtype)


class InFlight:
    """A batch on its way; the lane is free again after `result`."""

    def __init__(self, lane: Lane, rows: int, done: Event, release: Callable[[Lane], None]) -> None:
        self._lane, self._rows, self._done, self._release = lane, rows, done, release
        self._collected = False

    def result(self) -> Answers:
        if self._collected:
            raise EngineError("the answers of a batch are given out once")
        self._collected = True
        self._done.synchronize()
        answers: Answers = np.array(self._lane.answers.numpy()[: self._rows])
        self._release(self._lane)
        return answers


class GraphRunner:
    """One network's graphs, captured largest bucket first so that the smaller ones fit into its memory."""

    def __init__(
        self,
        network: Network,
        compiled: Compiled,
        buckets: tuple[int, ...],
        bank: tuple[Tensor, ...],
        gpu: Gpu,
        progress: Progress = lambda line: None,
    ) -> None:
        self.network, self.compiled, self.buckets, self.bank, self.gpu = network, compiled, buckets, bank, gpu
        self._progress = progress
        self.report: list[Captured] = []
        self._graphs: dict[int, BucketGraph] = {}
        self._free: deque[Lane] = deque()

    def prepare(self) -> None:
        """Capture every bucket, once."""
        if self._graphs:
            return
        for place, bucket in enumerate(reversed(self.buckets), start=1):
            self._progress(building(self.network, bucket, place, len(self.buckets)))
            self._graphs[bucket] = self._capture(bucket)
        largest = self._graphs[self.buckets[-1]].static
        self._free.extend(Lane(self.gpu, largest) for _ in range(IN_FLIGHT))

    def submit(self, pixels: Pixels, slots: Slots) -> InFlight:
        """Enqueue a batch; raises EngineError where two are in flight already."""
        self.prepare()
        bucket = bucket_for(self.buckets, len(pixels))
        if not self._free:
            raise EngineError(f"{IN_FLIGHT} batches are in flight: collect one first")
        lane = self._free.popleft()
        fill(lane.pixels[:bucket], None if lane.slot is None else lane.slot[:bucket], pixels, slots)
        return InFlight(lane, len(pixels), self._enqueue(lane, bucket), self._free.append)

    def _enqueue(self, lane: Lane, bucket: int) -> Event:
        gpu, ready = self.gpu, self._graphs[bucket]
        gpu.copy(ready.static.pixels, lane.pixels[:bucket])
        if ready.static.slot is not None and lane.slot is not None:
            gpu.copy(ready.static.slot, lane.slot[:bucket])
        gpu.run(ready.graph.replay)
        gpu.copy(lane.answers[:bucket], ready.static.output)
        return gpu.mark()

    def _capture(self, bucket: int) -> BucketGraph:
        gpu, started = self.gpu, time.perf_counter()
        before = gpu.used()
        with gpu.current():
            static = buffers(self.network, bucket, self.bank, gpu.device)
            launch = self.compiled.bind(static)
        gpu.synchronize()  # the bank is made and cleared on other streams
        gpu.run(launch)  # libraries load and choose their kernels now, not in the capture
        gpu.synchronize()
        graph = gpu.capture(launch)
        line = Captured(self.network.name, bucket, time.perf_counter() - started, gpu.used() - before)
        self.report.append(line)
        log.info("%s, bucket %d: captured in %.2f s, %.1f MB", line.program, bucket, line.seconds, line.bytes / 1e6)
        return BucketGraph(graph, launch, static)
