"""A batch that never ends is noticed, a slow one is left alone."""

import threading
import time
from collections.abc import Iterator

import pytest

from service.batching.overdue import OverdueBatch, seconds_allowed
from service.watch.watchdog import Watchdog
from tests.gated_engine import Bench
from tests.support import EventLoop, wait_until


@pytest.fixture
def bench() -> Iterator[Bench]:
    with EventLoop() as loop:
        bench = Bench(loop)
        bench.batcher.start(bench.engine)
        wait_until(lambda: bench.batcher.ready)
        yield bench
        for _ in range(100):
            bench.engine.permits.release()
        bench.batcher.stop()


def test_what_is_allowed() -> None:
    assert seconds_allowed(2.0) == 40.0
    assert seconds_allowed(0.005) == 10.0, "a machine may stand still for a moment"
    assert seconds_allowed(float("inf")) == 120.0, "no batch of its size was seen"


def test_a_batch_that_never_ends_ends_the_process(bench: Bench) -> None:
    ended = threading.Event()
    watchdog = Watchdog([OverdueBatch(bench.batcher, lambda expected: 0.05)], lambda code: ended.set(), period=0.02)
    watchdog.start()
    time.sleep(0.2)
    assert not ended.is_set(), "an idle engine hangs for nobody"
    bench.submit(bench.job())
    assert ended.wait(5)
    watchdog.stop()


def test_batches_that_end_are_left_alone(bench: Bench) -> None:
    ended = threading.Event()
    seen: list[float] = []

    def allowed(expected: float) -> float:
        seen.append(expected)
        return 0.5

    watchdog = Watchdog([OverdueBatch(bench.batcher, allowed)], lambda code: ended.set(), period=0.01)
    watchdog.start()
    for _ in range(10):
        bench.submit(bench.job())
        bench.called()
        time.sleep(0.1)
        bench.engine.permits.release()
        bench.take(1)
    watchdog.stop()
    assert not ended.is_set()
    assert any(0.09 < expected < 0.5 for expected in seen)
