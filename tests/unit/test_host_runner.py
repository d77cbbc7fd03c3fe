"""Which batch sizes are bound, and that whatever is bound the answers are the same."""

import gc
from weakref import ref

import numpy as np
import pytest

from engine.backends.eager import EagerNetwork
from engine.bank import Bank
from engine.host_runner import HostRunner
from engine.network import OneShot, ZeroShot
from tests.support import TINY, tiny_network, wait_until

BUCKETS = (1, 2, 4)


@pytest.fixture(scope="module")
def network() -> ZeroShot:
    return tiny_network()


def runner_of(network: ZeroShot, idle_seconds: float = 60.0) -> HostRunner:
    bank = Bank(TINY.mae, network.model.program("zero_shot"), 3, network.device)
    return HostRunner(network, EagerNetwork(network), BUCKETS, bank.tensors(), idle_seconds=idle_seconds)


def batch(network: ZeroShot | OneShot, rows: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 256, (rows, network.side, network.side, 3), np.uint8)


def test_at_rest_the_smallest_is_kept_and_does_the_others_work_until_they_are_there(network: ZeroShot) -> None:
    runner, others = runner_of(network), runner_of(network)
    runner.prepare()
    runner.rest()
    assert runner.bound == [1]
    for rows in (1, 3, 4, 2, 4):
        pixels = batch(network, rows)
        answers = runner.submit(pixels, [0] * rows).result().astype(int)
        wanted = others.submit(pixels, [0] * rows).result().astype(int)
        assert np.abs(answers - wanted).max() <= 1
    wait_until(lambda: runner.bound == [1, 2, 4], "every bucket that was asked for")
    assert others.bound == [1, 2, 4]


def test_what_nobody_uses_is_let_go(network: ZeroShot) -> None:
    runner = runner_of(network, idle_seconds=0.0)
    runner.prepare()
    runner.rest()
    for _ in range(2):  # the second time by another thread
        runner.submit(batch(network, 4), [0] * 4)
        wait_until(lambda: not runner._tended, "rest")
        assert runner.bound == [1]


def test_one_that_nobody_holds_is_freed(network: ZeroShot) -> None:
    runner = runner_of(network)
    runner.prepare()
    runner.rest()
    runner.submit(batch(network, 4), [0] * 4)
    gone = ref(runner)
    del runner

    def freed() -> bool:
        gc.collect()
        return gone() is None

    wait_until(freed, "its end")
