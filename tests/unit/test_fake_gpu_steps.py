"""Ten thousand installs, batches, evictions, failures and recoveries on the fake device, against a plain reference."""

import gc
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.bank import Bank
from engine.cuda_graphs import GraphRunner, InFlight
from engine.errors import BankFull
from engine.network import ZeroShot
from engine.slots import SlotTable
from engine.staging import Staging
from engine.task_vector import AnswerSettings, TaskVector
from tests.fake_cuda.backend import FakeNetwork
from tests.fake_cuda.device import DeviceError, FakeCuda
from tests.support import random_vector, tiny_network

TASKS, SLOTS, BUCKETS = 9, 6, (1, 2, 4)


def digest(*row: Tensor) -> Tensor:
    """A number from 0 to 255 for what a slot holds, in which every tensor counts: [...] of [slots, ...]."""
    total = sum(part.double().flatten(1).nan_to_num(7e3).sum(1) * (k + 1) for k, part in enumerate(row))
    assert isinstance(total, Tensor)
    return (total * 1e3).round().long() % 256


def compute(pixels: Tensor, slot: Tensor, *bank: Tensor) -> Tensor:
    """A row's answer is all of one colour: the sum of its pixels and its slot's digest."""
    *parts, temperature = bank
    rows = [part.transpose(0, 1)[slot] for part in parts]
    colour = (pixels[:, 0, 0, 0].long() + digest(*rows, temperature[slot][:, None])) % 256
    return colour.to(torch.uint8)[:, None, None, None].expand(-1, 111, 111, 3)


class FakeGpuEngine:
    """The parts of a compiled engine on one fake device."""

    def __init__(self, network: ZeroShot, seed: int) -> None:
        self.device = FakeCuda(seed)
        model = network.model
        with self.device.current():
            self.bank = Bank(model.config.mae, model.program("zero_shot"), SLOTS, self.device.device)
        self.staging = Staging(self.device, self.bank.row_bytes, 5)
        self.runner = GraphRunner(network, FakeNetwork(self.device, compute), BUCKETS, self.bank.tensors(), self.device)
        self.runner.prepare()

    def install(self, slot: int, vector: TaskVector) -> None:
        self.bank.write(slot, vector, self.staging.copy)

    def submit(self, pixels: Sequence[int], slots: Sequence[int]) -> InFlight:
        tiles = np.zeros((len(pixels), 112, 112, 3), np.uint8)
        tiles[:, 0, 0, 0] = pixels
        return self.runner.submit(tiles, slots)


@pytest.fixture(scope="module")
def network() -> ZeroShot:
    return tiny_network()


@pytest.mark.parametrize("steps", [1500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_steps_with_failures(network: ZeroShot, steps: int) -> None:
    draw = random.Random(5)
    vectors = {
        f"task {k}": replace(random_vector(network.model, "m", k), answer=AnswerSettings(temperature=k / TASKS))
        for k in range(TASKS)
    }
    plain = Bank(network.model.config.mae, network.model.program("zero_shot"), 2, torch.device("cpu"))
    wanted = {"": int(compute(torch.zeros(1, 1, 1, 1), torch.tensor([0]), *plain.tensors())[0, 0, 0, 0])}
    for name, vector in vectors.items():
        plain.write(1, vector)
        wanted[name] = int(compute(torch.zeros(1, 1, 1, 1), torch.tensor([1]), *plain.tensors())[0, 0, 0, 0])
    assert len(set(wanted.values())) == len(wanted), "the tasks cannot be told apart"

    engine, table = FakeGpuEngine(network, 0), SlotTable(SLOTS)
    resident: dict[int, str] = {}
    held: list[tuple[str, int]] = []
    flying: list[tuple[InFlight, list[int]]] = []
    counts = dict.fromkeys(("run", "install", "reuse", "full", "release", "fail", "answer"), 0)

    def collect() -> None:
        pending, answers = flying.pop(0)
        found = pending.result()
        assert [int(row[0, 0, 0]) for row in found] == answers
        assert (found == found[:, :1, :1, :1]).all()
        counts["answer"] += 1

    for step in range(steps):
        action = draw.random()
        if action < 0.002:
            while len(flying) > 1:
                collect()
            engine.device.broken = True
            with pytest.raises(DeviceError):
                engine.submit([1], [0]).result()
            flying.clear()
            device = engine.device
            del engine
            gc.collect()
            assert device.used() == 0, "the failed engine still holds memory"
            engine = FakeGpuEngine(network, step)
            for slot, name in resident.items():
                engine.install(slot, vectors[name])
            counts["fail"] += 1
        elif action < 0.15:
            if len(flying) == 2:
                collect()
            rows = [draw.choice([("", 0), *held]) for _ in range(draw.randrange(1, 5))]
            pixels = [draw.randrange(256) for _ in rows]
            answers = [(pixel + wanted[name]) % 256 for pixel, (name, _) in zip(pixels, rows, strict=True)]
            flying.append((engine.submit(pixels, [slot for _, slot in rows]), answers))
            counts["run"] += 1
        elif action < 0.25 and flying:
            collect()
        elif action < 0.6 or not held:
            name = draw.choice(list(vectors))
            try:
                slot, fresh = table.acquire(name)
            except BankFull:
                counts["full"] += 1
                continue
            if fresh:
                engine.install(slot, vectors[name])
                resident[slot] = name
            held.append((name, slot))
            counts["install" if fresh else "reuse"] += 1
        else:
            _, slot = held.pop(draw.randrange(len(held)))
            table.release(slot)
            counts["release"] += 1
        if step % 500 == 0:
            table.check_integrity()
            engine.device.synchronize()
            engine.bank.check_integrity()
    while flying:
        collect()
    assert counts["fail"] >= steps // 1000, counts
    assert min(counts.values()) > 0, counts
    assert table.evictions > steps // 100
