"""Painted and classified batches share the engine's time: neither kind waits for all of the other."""

from collections.abc import Iterator

import numpy as np
import pytest

from engine.program import EngineProgram
from service.batching.batcher import State
from service.batching.fair_share import FairShare
from service.batching.jobs import Job, Ticket
from service.batching.schedule import Schedule
from tests.gated_engine import PATIENCE, Bench, GatedEngine, wait_until
from tests.support import EventLoop

PROGRAMS: tuple[EngineProgram, ...] = ("zero_shot", "one_shot", "classify")


def served(share: FairShare, costs: dict[EngineProgram, float], batches: int) -> list[EngineProgram]:
    """Whose turn it is, batch after batch, while somebody waits for each of these programs."""
    order: list[EngineProgram] = []
    for _ in range(batches):
        program = min(costs, key=share.clock)
        share.launched(program, costs[program])
        order.append(program)
    return order


def test_time_is_shared_not_batches() -> None:
    order = served(FairShare(PROGRAMS), {"zero_shot": 4.0, "classify": 1.0}, 50)
    assert order.count("classify") == 4 * order.count("zero_shot")
    longest = max(map(len, "".join(program[0] for program in order).split("z")))
    assert longest <= 4  # batches of the cheap program in a row


def test_rest_earns_no_credit() -> None:
    share = FairShare(PROGRAMS)
    share.arrived("zero_shot")
    served(share, {"zero_shot": 1.0}, 100)
    share.arrived("classify")
    assert served(share, {"zero_shot": 1.0, "classify": 1.0}, 10).count("classify") == 5


def test_what_took_longer_than_expected_is_paid_for() -> None:
    share = FairShare(PROGRAMS)
    share.launched("zero_shot", 0.0)  # nothing was known of it
    share.corrected("zero_shot", 3.0)
    assert served(share, {"zero_shot": 1.0, "classify": 1.0}, 4) == ["classify"] * 3 + ["zero_shot"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with EventLoop() as loop:
        bench = Bench(loop, limit=100)
        bench.batcher.start(bench.engine)
        wait_until(lambda: bench.batcher.state is State.READY)
        yield bench
        bench.engine.permits.release(1000)
        bench.batcher.stop()


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("service.batching.schedule.time.monotonic", lambda: self.now)


@pytest.mark.parametrize(("flood", "other"), [("zero_shot", "classify"), ("classify", "zero_shot")])
def test_a_flood_of_one_kind_does_not_starve_the_other(
    monkeypatch: pytest.MonkeyPatch, flood: EngineProgram, other: EngineProgram
) -> None:
    """Ten seconds of an engine on which a painted batch takes 120 ms and a classified one 30 ms.

    Two hundred clients of one kind ask again as soon as they are answered, one of the other kind does so too.
    """
    clock, seconds = Clock(monkeypatch), {"zero_shot": 0.12, "classify": 0.03}
    schedule, pixels, times = Schedule(GatedEngine(), 0.0), np.zeros(3, np.uint8), {flood: 0.0, other: 0.0}
    waits: list[float] = []

    def ask(program: EngineProgram, client: str) -> None:
        job = Job(Ticket(1, client), program, pixels, 1, "task", float("inf"), queued_at=clock.now)
        schedule.push(job)

    for client in range(200):
        ask(flood, f"client {client}")
    ask(other, "the other")
    while clock.now < 10:
        batch, _ = schedule.take()
        assert batch is not None
        clock.now += seconds[batch.program]
        times[batch.program] += seconds[batch.program]
        schedule.complete(batch)
        for job in batch.jobs:
            ask(job.program, job.ticket.client)
            if job.program == other:
                waits.append(clock.now - job.queued_at)
    assert times[other] / sum(times.values()) > 0.45
    assert max(waits) <= seconds[other] + (0.12 if flood == "zero_shot" else 5 * 0.03) + 1e-9
    assert len(waits) > 30


def test_the_limit_of_patience_is_one_batch_of_the_other_kind(bench: Bench) -> None:
    """Whoever comes to an engine that only the other kind has used is in the next batch."""
    bench.submit(*(bench.job(slot=1, program="classify") for _ in range(40)))
    assert bench.called()[0] == "classify"
    bench.submit(bench.job(slot=3, program="zero_shot"), bench.job(slot=0, program="one_shot"))
    called = []
    for _ in range(2):
        bench.engine.permits.release()
        called.append(bench.engine.calls.get(timeout=PATIENCE)[0])
    assert set(called) == {"zero_shot", "one_shot"}
