"""The graph runner on a device that runs its stream as late as it may, and frees and poisons what nobody holds."""

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine import cuda_device
from engine.cuda_device import CudaDevice
from engine.cuda_graphs import GraphRunner
from engine.errors import EngineError
from engine.host_runner import HostRunner
from engine.network import ZeroShot
from engine.staging import Staging
from tests.fake_cuda.backend import DestroyedContext, FakeNetwork
from tests.fake_cuda.device import CaptureError, FakeCuda
from tests.fake_cuda.memory import IllegalAccess
from tests.support import tiny_network

SLOTS = 4
Rows = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def paint(pixels: Tensor, slot: Tensor, bank: Tensor) -> Tensor:
    """Every pixel of a row: its first pixel plus its slot's entry in the bank."""
    colour = (pixels[:, 0, 0, 0] + bank[slot]).to(torch.uint8)
    return colour[:, None, None, None].expand(-1, 111, 111, 3)


@dataclass
class Subject:
    device: FakeCuda
    bank: Tensor
    compiled: FakeNetwork
    runner: GraphRunner
    staging: Staging

    def install(self, slot: int, value: float) -> None:
        self.staging.copy([(self.bank[slot : slot + 1], torch.tensor([value]))])

    def ask(self, values: list[int], slots: list[int]) -> list[int]:
        return firsts(self.runner.submit(rows(*values), slots).result())


@pytest.fixture(scope="module")
def network() -> ZeroShot:
    return tiny_network()


def make(network: ZeroShot, seed: int = 0, buckets: tuple[int, ...] = (1, 2, 4), prepare: bool = True) -> Subject:
    device = FakeCuda(seed)
    with device.current():
        bank = torch.zeros(SLOTS)
    compiled = FakeNetwork(device, paint)
    runner = GraphRunner(network, compiled, buckets, (bank,), device)
    if prepare:
        runner.prepare()
    return Subject(device, bank, compiled, runner, Staging(device, 4, 1))


def rows(*values: int) -> Rows:
    side = 112
    out = np.zeros((len(values), side, side, 3), np.uint8)
    out[:, 0, 0, 0] = values
    return out


def firsts(answers: Rows) -> list[int]:
    assert (answers == answers[:, :1, :1, :1]).all()
    return [int(value) for value in answers[:, 0, 0, 0]]


def test_buckets_are_captured_once_largest_first(network: ZeroShot) -> None:
    subject = make(network)
    subject.runner.prepare()
    assert subject.compiled.bound == [4, 2, 1]
    assert [(line.program, line.bucket) for line in subject.runner.report] == [("zero_shot", b) for b in (4, 2, 1)]
    assert all(line.bytes > 0 for line in subject.runner.report)


def test_a_launch_lives_as_long_as_its_graph_and_no_longer(network: ZeroShot) -> None:
    subject = make(network)
    gc.collect()
    assert all(context() is not None for context in subject.compiled.contexts)
    assert subject.ask([5], [0]) == [5]
    bank = subject.bank.numel() * 4
    del subject.runner, subject.staging
    gc.collect()
    assert [context() for context in subject.compiled.contexts] == [None] * 3
    assert subject.device.used() <= bank + 64


def test_the_device_refuses_what_a_real_one_refuses(network: ZeroShot) -> None:
    """Each fault that the runner could have is one that the fake device sees."""
    subject = make(network, prepare=False)
    device = subject.device
    device.some = lambda: None  # type: ignore[method-assign]
    with device.current():
        fresh = torch.zeros(4)
    target = fresh[:2]
    device.copy(target, fresh[2:])
    del target, fresh
    with pytest.raises(IllegalAccess, match="freed"):
        device.synchronize()
    device._queue.clear()
    made = subject.runner._capture(1)
    graph, launch = made.graph, made.launch
    del made
    with pytest.raises(CaptureError, match="never ran"):
        device.capture(lambda: None)

    def allocates() -> None:
        with device.current():
            torch.zeros(1)

    for forbidden in (allocates, device.synchronize, lambda: device.mark().synchronize()):
        device._warm.add(forbidden)
        with pytest.raises(CaptureError, match="while a graph is captured"):
            device.capture(forbidden)
    del launch
    gc.collect()
    graph.replay()
    with pytest.raises(DestroyedContext):
        device.synchronize()


@pytest.mark.parametrize("seed", range(30))
def test_batches_and_installs_keep_their_order_however_late_the_stream_is(network: ZeroShot, seed: int) -> None:
    subject, draw = make(network, seed), random.Random(seed)
    bank, flying = [0] * SLOTS, []
    for _ in range(60):
        if len(flying) == 2 or (flying and draw.random() < 0.3):
            pending, wanted = flying.pop(draw.randrange(len(flying)))
            assert firsts(pending.result()) == wanted
        if draw.random() < 0.4:
            slot = draw.randrange(1, SLOTS)
            bank[slot] = draw.randrange(100)
            subject.install(slot, bank[slot])
        values = [draw.randrange(100) for _ in range(draw.randrange(1, 5))]
        slots = [draw.randrange(SLOTS) for _ in values]
        wanted = [v + bank[s] for v, s in zip(values, slots, strict=True)]
        flying.append((subject.runner.submit(rows(*values), slots), wanted))
    for pending, wanted in flying:
        assert firsts(pending.result()) == wanted


def test_nothing_is_waited_for_until_an_answer_is_asked_for(network: ZeroShot) -> None:
    subject = make(network)
    subject.device.some = lambda: None  # type: ignore[method-assign]
    waited = subject.device.waits
    subject.install(1, 7)
    subject.install(1, 8)
    pending = subject.runner.submit(rows(5), [1])
    assert subject.device.waits == waited
    assert subject.bank[1] == 0
    assert firsts(pending.result()) == [13]


def test_an_install_allocates_nothing_and_arrives_in_the_banks_type(network: ZeroShot) -> None:
    subject = make(network)
    with subject.device.current():
        bank = torch.zeros(3, 2, 2, dtype=torch.float16), torch.zeros(3, 2, 5, dtype=torch.bool)
    staging = Staging(subject.device, 3 * 2 * 2 + 3 * 5, 2)
    before = subject.device.used()
    for value in (1.5, 2.5, 3.5):
        given = torch.full((3, 2), value), torch.tensor([[True, False, True, False, True]] * 3)
        staging.copy([(own[:, 1], new) for own, new in zip(bank, given, strict=True)])
        assert subject.device.used() == before
        subject.device.synchronize()
        assert bank[0].tolist() == [[[0.0, 0.0], [value, value]]] * 3
        assert bank[1][:, 1].tolist() == given[1].tolist()
        assert not bank[1][:, 0].any()
    with pytest.raises(EngineError, match="does not fit"):
        staging.copy([(own, own) for own in (*bank, *bank)])


def test_two_are_in_flight_at_most(network: ZeroShot) -> None:
    subject = make(network).runner
    first, second = subject.submit(rows(1), [0]), subject.submit(rows(2), [0])
    with pytest.raises(EngineError, match="2 batches are in flight"):
        subject.submit(rows(3), [0])
    assert firsts(second.result()) == [2]
    third = subject.submit(rows(3), [0])
    assert [firsts(first.result()), firsts(third.result())] == [[1], [3]]
    with pytest.raises(EngineError, match="given out once"):
        first.result()


def test_a_refused_batch_leaves_both_lanes_free(network: ZeroShot) -> None:
    subject = make(network).runner
    with pytest.raises(EngineError, match="at most 4 rows, not 5"):
        subject.submit(rows(1, 2, 3, 4, 5), [0] * 5)
    flying = [subject.submit(rows(value), [0]) for value in (1, 2)]
    assert [firsts(pending.result()) for pending in flying] == [[1], [2]]


def test_padding_uses_slot_0_and_never_leaves(network: ZeroShot) -> None:
    subject = make(network)
    for slot in (1, 2, 3):
        subject.install(slot, 10 * slot)
    assert subject.ask([1, 1, 1, 1], [3, 3, 3, 3]) == [31] * 4
    assert subject.ask([1, 2, 3], [1, 2, 3]) == [11, 22, 33]
    static = subject.runner._graphs[4].static
    assert static.slot is not None
    assert static.slot.tolist() == [1, 2, 3, 0]
    assert firsts(static.output.numpy()) == [11, 22, 33, 0]


def test_the_host_runner_answers_the_same(network: ZeroShot) -> None:
    graphs = make(network)
    for slot in (1, 2, 3):
        graphs.install(slot, 10 * slot)
    host = HostRunner(network, AtOnce(), (1, 2, 4), (torch.tensor([0.0, 10, 20, 30]),))
    for values, slots in (([5], [1]), ([1, 2, 3], [3, 0, 2]), ([9, 9, 9, 9], [0, 1, 2, 3])):
        assert firsts(host.submit(rows(*values), slots).result()) == graphs.ask(values, slots)


class AtOnce:
    """Compiled for the host."""

    def bind(self, own: object) -> object:
        return lambda: own.output.copy_(paint(*own.inputs))  # type: ignore[attr-defined]


def test_progress_names_each_bucket(network: ZeroShot) -> None:
    device, told = FakeCuda(), list[str]()
    with device.current():
        bank = torch.zeros(SLOTS)
    GraphRunner(network, FakeNetwork(device, paint), (1, 2), (bank,), device, told.append).prepare()
    assert told == ["building zero_shot, bucket 2, 1 of 2", "building zero_shot, bucket 1, 2 of 2"]


def test_the_real_device_records_on_its_own_stream_and_sleeps_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CudaDevice` over a stand-in for torch.cuda, which takes down in what state it was called."""
    said: list[object] = []
    stream = SimpleNamespace(name="own")
    now = ["default"]

    @contextmanager
    def current(wanted: SimpleNamespace) -> Iterator[None]:
        now.append(wanted.name)
        yield
        now.pop()

    @contextmanager
    def graph(_: object, pool: str, stream: SimpleNamespace, capture_error_mode: str) -> Iterator[None]:
        said.append(("capture", pool, capture_error_mode))
        with current(stream):
            yield

    event = SimpleNamespace(record=lambda on: said.append(("record", on.name)))
    fake = SimpleNamespace(
        Stream=lambda device: stream,
        graph_pool_handle=lambda: "pool",
        stream=current,
        graph=graph,
        CUDAGraph=lambda: SimpleNamespace(replay=lambda: said.append(("replay", now[-1]))),
        Event=lambda blocking=False: (said.append(("event", blocking)), event)[1],
    )
    monkeypatch.setattr(cuda_device.torch, "cuda", fake)
    device = CudaDevice(torch.device("cpu"))
    made = device.capture(lambda: said.append(("launch", now[-1])))
    device.run(made.replay)
    device.mark()
    assert said == [
        ("capture", "pool", "thread_local"),
        ("launch", "own"),
        ("replay", "own"),
        ("event", True),
        ("record", "own"),
    ]
