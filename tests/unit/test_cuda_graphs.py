"""The graph runner on a device that runs its streams in any order that events allow, and as late as they allow."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.cuda_graphs import GraphRunner, Streams
from engine.errors import EngineError
from engine.network import Buffers, Network, ZeroShot, buffers
from engine.runner import HostRunner
from tests.support import tiny_network

SLOTS = 4


@dataclass
class Work:
    """Something a stream will do, once the works it waits for are done."""

    do: Callable[[], None]
    after: list["Work"]
    done: bool = False


class LateDevice:
    """Nothing runs until the host waits, and then only what it must wait for, and by chance some more."""

    def __init__(self, seed: int = 0) -> None:
        self.bank = torch.zeros(SLOTS)
        self.draw = random.Random(seed)
        self.streams: list[LateStream] = []
        self.captured: list[int] = []

    def stream(self) -> "LateStream":
        self.streams.append(LateStream(self))
        return self.streams[-1]

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.full(shape, 1, dtype=dtype)  # not what anybody may rely on

    def buffers(self, network: Network, bucket: int) -> Buffers:
        return buffers(network, bucket, (self.bank,), torch.device("cpu"))

    def capture(self, launch: Callable[[], None], stream: "LateStream") -> Callable[[], None]:
        assert stream is self.streams[1]
        launch()
        return launch

    def used(self) -> int:
        return 0

    def some(self) -> None:
        """Run a few works that could run now."""
        for _ in range(self.draw.randrange(6)):
            ready = [s.queue[0] for s in self.streams if s.queue and all(w.done for w in s.queue[0].after)]
            if not ready:
                return
            self.run(self.draw.choice(ready))

    def run(self, work: Work) -> None:
        """Run a work, before it what it must follow."""
        if work.done:
            return
        stream = next(s for s in self.streams if work in s.queue)
        for earlier in [*stream.queue[: stream.queue.index(work)], *work.after]:
            self.run(earlier)
        work.do()
        work.done = True
        stream.queue.remove(work)


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


@dataclass(eq=False)
class LateStream:
    device: LateDevice
    queue: list[Work] = field(default_factory=list)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.full(shape, 2, dtype=dtype)

    def _add(self, do: Callable[[], None], after: list[Work] | None = None) -> Work:
        work = Work(do, after or [])
        self.queue.append(work)
        return work

    def copy(self, target: Tensor, source: Tensor) -> None:
        self._add(partial(_copy, target, source))
        self.device.some()

    def run(self, work: Callable[[], None]) -> None:
        self._add(work)

    def record(self) -> "LateEvent":
        return LateEvent(self.device, self._add(lambda: None))

    def wait(self, event: "LateEvent") -> None:
        self._add(lambda: None, [event.work])


@dataclass
class LateEvent:
    device: LateDevice
    work: Work

    def synchronize(self) -> None:
        self.device.run(self.work)


class Sums:
    """Compiled: paints every pixel of a row with its first pixel plus its slot's entry in the bank."""

    def __init__(self, captured: list[int]) -> None:
        self.captured = captured

    def bind(self, own: Buffers) -> Callable[[], None]:
        self.captured.append(own.bucket)

        def launch() -> None:
            pixels, slot, bank = own.inputs
            colour = (pixels[:, 0, 0, 0] + bank[slot]).to(torch.uint8)
            own.output.copy_(colour[:, None, None, None].expand_as(own.output))

        return launch


@pytest.fixture(scope="module")
def network() -> ZeroShot:
    return tiny_network()


def runner(network: ZeroShot, device: LateDevice, buckets: tuple[int, ...] = (1, 2, 4)) -> GraphRunner:
    made = GraphRunner(network, Sums(device.captured), buckets, Streams(device))
    made.prepare()
    return made


def rows(network: ZeroShot, *values: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    out = np.zeros((len(values), network.side, network.side, 3), np.uint8)
    out[:, 0, 0, 0] = values
    return out


def firsts(answers: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    assert (answers == answers[:, :1, :1, :1]).all()
    return [int(value) for value in answers[:, 0, 0, 0]]


def test_buckets_are_captured_once_largest_first(network: ZeroShot) -> None:
    device = LateDevice()
    subject = runner(network, device)
    subject.prepare()
    assert device.captured == [4, 2, 1]
    assert [(line.program, line.bucket) for line in subject.report] == [("zero_shot", b) for b in (4, 2, 1)]


@pytest.mark.parametrize("seed", range(30))
def test_batches_and_installs_keep_their_order_whatever_the_streams_do(network: ZeroShot, seed: int) -> None:
    device, draw = LateDevice(seed), random.Random(seed)
    subject = runner(network, device)
    bank, flying = [0] * SLOTS, []
    for _ in range(60):
        if len(flying) == 2 or (flying and draw.random() < 0.3):
            pending, wanted = flying.pop(draw.randrange(len(flying)))
            assert firsts(pending.result()) == wanted
        if draw.random() < 0.4:
            slot = draw.randrange(1, SLOTS)
            bank[slot] = draw.randrange(100)
            subject.streams.install(device.bank[slot : slot + 1], torch.tensor([float(bank[slot])]))
        values = [draw.randrange(100) for _ in range(draw.randrange(1, 5))]
        slots = [draw.randrange(SLOTS) for _ in values]
        flying.append(
            (subject.submit(rows(network, *values), slots), [v + bank[s] for v, s in zip(values, slots, strict=True)])
        )
    for pending, wanted in flying:
        assert firsts(pending.result()) == wanted


def test_nothing_runs_and_nobody_waits_until_an_answer_is_asked_for(network: ZeroShot) -> None:
    device = LateDevice()
    device.some = lambda: None  # type: ignore[method-assign]
    subject = runner(network, device)
    subject.streams.install(device.bank[1:2], torch.tensor([7.0]))
    pending = subject.submit(rows(network, 5), [1])
    assert device.bank[1] == 0
    assert firsts(pending.result()) == [12]


def test_two_are_in_flight_at_most(network: ZeroShot) -> None:
    subject = runner(network, LateDevice())
    first, second = subject.submit(rows(network, 1), [0]), subject.submit(rows(network, 2), [0])
    with pytest.raises(EngineError, match="2 batches are in flight"):
        subject.submit(rows(network, 3), [0])
    assert firsts(second.result()) == [2]
    third = subject.submit(rows(network, 3), [0])
    assert [firsts(first.result()), firsts(third.result())] == [[1], [3]]
    with pytest.raises(EngineError, match="given out once"):
        first.result()


def test_a_refused_batch_leaves_both_lanes_free(network: ZeroShot) -> None:
    subject = runner(network, LateDevice())
    with pytest.raises(EngineError, match="at most 4 rows, not 5"):
        subject.submit(rows(network, 1, 2, 3, 4, 5), [0] * 5)
    flying = [subject.submit(rows(network, value), [0]) for value in (1, 2)]
    assert [firsts(pending.result()) for pending in flying] == [[1], [2]]


def test_padding_uses_slot_0_and_never_leaves(network: ZeroShot) -> None:
    device = LateDevice()
    device.bank[:] = torch.tensor([0.0, 10, 20, 30])
    subject = runner(network, device)
    assert firsts(subject.submit(rows(network, 1, 1, 1, 1), [3, 3, 3, 3]).result()) == [31] * 4
    assert firsts(subject.submit(rows(network, 1, 2, 3), [1, 2, 3]).result()) == [11, 22, 33]
    static, _ = subject._graphs[4]
    assert static.slot is not None
    assert static.slot.tolist() == [1, 2, 3, 0]
    assert firsts(static.output.numpy()) == [11, 22, 33, 0]


def test_the_host_runner_answers_the_same(network: ZeroShot) -> None:
    device = LateDevice()
    device.bank[:] = torch.tensor([0.0, 10, 20, 30])
    host = HostRunner(network, Sums([]), (1, 2, 4), (device.bank,))
    graphs = runner(network, device)
    for values, slots in (([5], [1]), ([1, 2, 3], [3, 0, 2]), ([9, 9, 9, 9], [0, 1, 2, 3])):
        pixels = rows(network, *values)
        assert firsts(host.submit(pixels, slots).result()) == firsts(graphs.submit(pixels, slots).result())
