"""A compiled network on the CPU, with as many batch sizes bound as there is use for."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final
from weakref import ref

import numpy as np
import torch
from torch import Tensor

from engine.backends.protocol import Compiled, Launch
from engine.device import release_memory
from engine.geometry import Pixels
from engine.network import Buffers, Network, buffers
from engine.runner import Answers, Done, Progress, Slots, bucket_for, building, fill

log: Final = logging.getLogger("vtv.engine")
_CPU: Final = torch.device("cpu")
_IDLE_SECONDS: Final = 60.0
_PERIOD: Final = 0.5


@dataclass(slots=True)
class _Bound:
    """A bucket that can be launched."""

    buffers: Buffers
    launch: Launch
    used: float
    """When it was used last, time.monotonic() seconds."""


class HostRunner:
    """Computes in the calling thread, each bucket bound when it is first needed.

    A bound bucket may take as much memory as the model's weights. After `rest` only the smallest is kept, and of the
    others those that were used of late: one that is asked for again is bound by a thread beside, in a second or so, and
    until then a smaller one does its work.
    """

    def __init__(
        self,
        network: Network,
        compiled: Compiled,
        buckets: tuple[int, ...],
        bank: tuple[Tensor, ...],
        progress: Progress = lambda line: None,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """`idle_seconds` after which a bucket that nobody uses is let go, once at rest."""
        self.network, self.compiled, self.buckets, self.bank = network, compiled, buckets, bank
        self._progress = progress
        self._idle_seconds = idle_seconds
        self._bound: dict[int, _Bound] = {}
        self._at_rest = self._tended = False
        self._wanted: set[int] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def bound(self) -> list[int]:
        """The buckets that can be launched now."""
        with self._lock:
            return sorted(self._bound)

    def prepare(self) -> None:
        for place, bucket in enumerate(self.buckets, start=1):
            self._progress(building(self.network, bucket, place, len(self.buckets)))
            if bucket not in self._bound:
                self._bound[bucket] = self._bind(bucket)

    def rest(self) -> None:
        """Let all buckets go but the smallest, and bind others on demand from now on."""
        with self._lock:
            self._at_rest = True
            self._bound = {bucket: own for bucket, own in self._bound.items() if bucket == self.buckets[0]}
        release_memory(_CPU)

    def submit(self, pixels: Pixels, slots: Slots) -> Done:
        size, own = self._for(len(pixels))
        rows = range(0, len(pixels), size)
        parts = [_computed(own, pixels[row : row + size], slots[row : row + size]) for row in rows]
        return Done(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _for(self, rows: int) -> tuple[int, _Bound]:
        """What computes a batch: its own bucket, or the largest that is bound of the smaller ones."""
        bucket = bucket_for(self.buckets, rows)
        if bucket not in self._bound and not (self._at_rest and self._bound):
            self._bound[bucket] = self._bind(bucket)
        with self._lock:
            if bucket not in self._bound:
                self._want(bucket)
                bucket = max((other for other in self._bound if other < bucket), default=min(self._bound))
            own = self._bound[bucket]
            own.used = time.monotonic()
            return bucket, own

    def _bind(self, bucket: int) -> _Bound:
        own = buffers(self.network, bucket, self.bank, _CPU)
        return _Bound(own, self.compiled.bind(own), time.monotonic())

    def _want(self, bucket: int) -> None:
        self._wanted.add(bucket)
        self._wake.set()
        if not self._tended:
            self._tended = True
            threading.Thread(target=_tend, args=(ref(self), self._wake), name="buckets").start()

    def tend(self) -> bool:
        """Bind what is wanted and let go what is idle. False where nothing is left to look after."""
        with self._lock:
            wanted = self._wanted - self._bound.keys()
        for bucket in sorted(wanted):
            own = self._bind(bucket)
            with self._lock:
                self._bound[bucket] = own
        with self._lock:
            self._wanted -= wanted
            since = time.monotonic() - self._idle_seconds
            idle = [bucket for bucket, own in self._bound.items() if bucket > self.buckets[0] and own.used < since]
            for bucket in idle:
                del self._bound[bucket]
            self._tended = len(self._bound) > 1 or bool(self._wanted)
            tended = self._tended
        if idle:
            release_memory(_CPU)
        return tended


def _computed(own: _Bound, pixels: Pixels, slots: Slots) -> Answers:
    fill(own.buffers.pixels, own.buffers.slot, pixels, slots)
    own.launch()
    return np.array(own.buffers.output.numpy()[: len(pixels)])


def _tend(runner: "ref[HostRunner]", wake: threading.Event) -> None:
    """For as long as there is something to tend, the runner is there, and the process is not ending: it waits for this
    thread, since a library that is at work does not end in order."""
    while threading.main_thread().is_alive():
        wake.wait(_PERIOD)
        wake.clear()
        own = runner()
        try:
            if own is None or not own.tend():
                return
        except Exception:
            log.exception("a batch size could not be bound again; smaller ones do its work")
            return  # `_tended` stays set: it is not tried again
        del own
