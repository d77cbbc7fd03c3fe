"""service.batching.batcher: the state machine, against an engine whose every batch the test lets through by hand."""

import threading
import time
from collections.abc import Iterator

import pytest

from service.batching.batcher import State
from service.batching.jobs import Job, Ticket
from service.errors import DeadlineExceeded, NotReady, QueueFull, ServiceError
from tests.gated_engine import PATIENCE, AheadEngine, Bench, wait_until
from tests.support import EventLoop


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    with EventLoop() as loop:
        yield loop


@pytest.fixture
def bench(loop: EventLoop) -> Iterator[Bench]:
    bench = Bench(loop)
    bench.batcher.start(bench.engine)
    wait_until(lambda: bench.batcher.state is State.READY)
    yield bench
    bench.engine.permits.release(100)
    bench.batcher.stop()


def occupy(bench: Bench) -> Job:
    """Have the engine busy with one job, so that what follows waits."""
    job = bench.job(slot=9)
    bench.submit(job)
    assert bench.called() == ("zero_shot", [9])
    return job


def test_an_idle_engine_takes_a_single_job_at_once(bench: Bench) -> None:
    job = bench.job(slot=3)
    bench.submit(job)
    assert bench.called() == ("zero_shot", [3])
    bench.engine.permits.release()
    assert bench.take(1) == [job]
    assert job.answer is not None
    assert job.answer.tolist() == [13, 13, 13]


def test_what_waits_forms_one_batch_of_mixed_tasks(bench: Bench) -> None:
    occupy(bench)
    jobs = [bench.job(slot) for slot in (1, 2, 1)]
    bench.submit(*jobs)
    bench.engine.permits.release(2)
    assert bench.called() == ("zero_shot", [1, 2, 1])
    assert bench.take(4)[1:] == jobs
    assert [job.answer.tolist()[0] for job in jobs if job.answer is not None] == [11, 12, 11]
    assert [(report.size, report.tasks) for report in bench.reports] == [(1, 1), (3, 2)]


def test_no_batch_exceeds_the_engine_and_order_is_kept(bench: Bench) -> None:
    occupy(bench)
    bench.submit(*(bench.job(slot) for slot in range(1, 7)))
    bench.engine.permits.release(3)
    assert bench.called() == ("zero_shot", [1, 2, 3, 4])
    assert bench.called() == ("zero_shot", [5, 6])


def test_a_bucket_is_filled_rather_than_padded_where_padding_costs_more(bench: Bench) -> None:
    occupy(bench)
    for images in (1, 2, 4):
        bench.batcher._schedule.times["zero_shot"].observe(images, float(images))
    bench.submit(*(bench.job(slot) for slot in (1, 2, 3)))
    bench.engine.permits.release(3)
    assert bench.called() == ("zero_shot", [1, 2])
    assert bench.called() == ("zero_shot", [3])


def test_programs_do_not_mix_and_the_oldest_goes_first(bench: Bench) -> None:
    occupy(bench)
    bench.submit(bench.job(program="one_shot"), bench.job(slot=2), bench.job(program="one_shot"))
    bench.engine.permits.release(3)
    assert bench.called() == ("one_shot", [0, 0])
    assert bench.called() == ("zero_shot", [2])


def test_a_slot_is_written_before_the_jobs_that_need_it(bench: Bench) -> None:
    occupy(bench)
    bench.batcher.write(5, None)  # type: ignore[arg-type]
    bench.submit(bench.job(slot=5))
    bench.engine.permits.release(2)
    assert bench.called() == ("write", [5])
    assert bench.called() == ("zero_shot", [5])


def test_the_bound_is_counted_at_admission(bench: Bench) -> None:
    tickets = [bench.batcher.admit(8), bench.batcher.admit(8)]
    with pytest.raises(QueueFull):
        bench.batcher.admit(1)
    bench.batcher.release(tickets[0])
    assert bench.batcher.admit(8).images == 8


def test_an_abandoned_job_is_not_computed(bench: Bench) -> None:
    busy = occupy(bench)
    ticket = Ticket(2)
    gone = [bench.job(slot=2, ticket=ticket), bench.job(slot=3, ticket=ticket)]
    bench.submit(*gone)
    stays = bench.job(slot=4)
    bench.submit(stays)
    bench.abandon(*gone)
    bench.engine.permits.release(2)
    assert bench.called() == ("zero_shot", [4])
    assert bench.take(2) == [busy, stays]
    assert all(job.launched_at is None for job in gone)


def test_one_job_that_is_abandoned_leaves_the_others_of_its_ticket(bench: Bench) -> None:
    busy = occupy(bench)
    ticket = Ticket(2)
    gone, stays = bench.job(slot=2, ticket=ticket), bench.job(slot=4, ticket=ticket)
    bench.submit(gone, stays)
    bench.abandon(gone)
    bench.engine.permits.release(2)
    assert bench.take(2) == [busy, stays]
    assert gone.launched_at is None


def test_a_job_that_is_abandoned_on_the_engine_harms_nobody(bench: Bench) -> None:
    busy = occupy(bench)
    stays = bench.job(slot=4)
    bench.submit(stays)
    bench.abandon(busy)
    bench.engine.permits.release(2)
    assert bench.take(1) == [stays]
    assert busy.launched_at is not None


def test_a_job_past_its_deadline_is_dropped_before_launch(bench: Bench) -> None:
    busy = occupy(bench)
    late, stays = bench.job(slot=2, deadline=time.monotonic()), bench.job(slot=4)
    bench.submit(late, stays)
    bench.engine.permits.release(2)
    assert bench.called() == ("zero_shot", [4])
    assert bench.take(3) == [busy, late, stays]
    assert late.error is DeadlineExceeded
    assert late.launched_at is None


def test_an_engine_failure_ends_readiness_before_anyone_is_told(bench: Bench) -> None:
    busy = occupy(bench)
    waiting = bench.job()
    bench.submit(waiting)
    bench.engine.broken = True
    bench.engine.permits.release()
    failed = bench.take(2)
    assert bench.batcher.state is State.FAILED
    assert set(failed) == {busy, waiting}
    assert all(job.error is ServiceError for job in failed)
    with pytest.raises(NotReady):
        bench.batcher.admit(1)
    late = bench.job()
    bench.submit(late)
    assert bench.take(1)[0].error is NotReady


def test_a_failed_warm_up_never_becomes_ready(loop: EventLoop) -> None:
    bench = Bench(loop)
    bench.engine.broken = True
    bench.batcher.start(bench.engine)
    wait_until(lambda: bench.batcher.state is State.FAILED)
    with pytest.raises(NotReady):
        bench.batcher.admit(1)


def test_nothing_is_admitted_before_the_warm_up(loop: EventLoop) -> None:
    with pytest.raises(NotReady):
        Bench(loop).batcher.admit(1)


def test_draining_finishes_what_is_in_hand_and_admits_nothing(bench: Bench) -> None:
    busy = occupy(bench)
    waiting = bench.job(slot=2)
    bench.submit(waiting)
    bench.batcher.drain()
    with pytest.raises(NotReady):
        bench.batcher.admit(1)
    bench.engine.permits.release(2)
    assert bench.take(2) == [busy, waiting]
    assert waiting.error is None


def test_stopping_fails_what_waits(bench: Bench) -> None:
    occupy(bench)
    waiting = bench.job(slot=2)
    bench.submit(waiting)
    stopper = threading.Thread(target=bench.batcher.stop)
    stopper.start()
    wait_until(lambda: bench.batcher._stopped)
    bench.engine.permits.release()
    stopper.join()
    assert bench.take(2)[1].error is NotReady


@pytest.fixture
def ahead(loop: EventLoop) -> Iterator[tuple[Bench, AheadEngine]]:
    """An engine that can be launched ahead, and a batcher that has it busy with one job."""
    engine = AheadEngine()
    bench = Bench(loop, engine=engine)
    bench.batcher.start(bench.engine)
    wait_until(lambda: bench.batcher.state is State.READY)
    occupy(bench)
    assert engine.launched.get(timeout=PATIENCE) == [9]
    yield bench, engine
    engine.permits.release(100)
    bench.batcher.stop()


def test_a_full_batch_is_launched_ahead(ahead: tuple[Bench, AheadEngine]) -> None:
    bench, engine = ahead
    bench.submit(*(bench.job(slot) for slot in range(1, 9)))
    assert engine.launched.get(timeout=PATIENCE) == [1, 2, 3, 4]  # while the first has not ended
    assert engine.launched.empty()  # and never a third
    engine.permits.release()
    assert engine.launched.get(timeout=PATIENCE) == [5, 6, 7, 8]
    engine.permits.release(2)
    assert [job.slot for job in bench.take(9)] == [9, 1, 2, 3, 4, 5, 6, 7, 8]


def test_what_does_not_fill_a_batch_waits_for_company(ahead: tuple[Bench, AheadEngine]) -> None:
    bench, engine = ahead
    bench.submit(*(bench.job(slot) for slot in (1, 2)))
    bench.submit(bench.job(slot=3))
    assert engine.launched.empty()
    engine.permits.release(2)
    assert engine.launched.get(timeout=PATIENCE) == [1, 2, 3]
    assert len(bench.take(4)) == 4


def test_it_waits_no_longer_than_until_the_engine_is_nearly_free(ahead: tuple[Bench, AheadEngine]) -> None:
    bench, engine = ahead
    engine.permits.release()
    bench.take(1)  # now it is known how long a batch of one takes
    bench.submit(bench.job(slot=1))
    assert engine.launched.get(timeout=PATIENCE) == [1]
    bench.submit(bench.job(slot=2))
    assert engine.launched.get(timeout=PATIENCE) == [2]  # while the first has not ended
    bench.submit(bench.job(slot=3))
    engine.permits.release(2)
    assert engine.launched.get(timeout=PATIENCE) == [3]
    assert [job.slot for job in bench.take(2)] == [1, 2]


def test_both_batches_in_flight_are_told_of_a_failure(ahead: tuple[Bench, AheadEngine]) -> None:
    bench, engine = ahead
    bench.submit(*(bench.job(slot) for slot in range(1, 6)))
    assert engine.launched.get(timeout=PATIENCE) == [1, 2, 3, 4]
    engine.broken = True
    engine.permits.release(2)
    failed = bench.take(6)
    assert {job.slot for job in failed} == {9, 1, 2, 3, 4, 5}
    assert all(job.error is ServiceError for job in failed)
    assert bench.batcher.state is State.FAILED


def test_stopping_finishes_what_is_in_flight(ahead: tuple[Bench, AheadEngine]) -> None:
    bench, engine = ahead
    bench.submit(*(bench.job(slot) for slot in range(1, 6)))
    assert engine.launched.get(timeout=PATIENCE) == [1, 2, 3, 4]
    stopper = threading.Thread(target=bench.batcher.stop)
    stopper.start()
    wait_until(lambda: bench.batcher._stopped)
    engine.permits.release(2)
    stopper.join()
    jobs = bench.take(6)
    assert [job.error is None for job in jobs] == [True] * 5 + [False]


def test_an_idle_engine_may_be_told_to_wait_for_a_full_batch(loop: EventLoop) -> None:
    bench = Bench(loop, max_wait=1e6)
    bench.batcher.start(bench.engine)
    wait_until(lambda: bench.batcher.state is State.READY)
    bench.submit(*(bench.job(slot) for slot in (1, 2, 3)))
    assert bench.batcher.waiting() == 3
    bench.submit(bench.job(slot=4))
    assert bench.called() == ("zero_shot", [1, 2, 3, 4])
    bench.engine.permits.release()
    bench.batcher.stop()


def test_nobody_waits_for_company_longer_than_the_cap(loop: EventLoop) -> None:
    bench = Bench(loop, max_wait=0.01)
    bench.batcher.start(bench.engine)
    wait_until(lambda: bench.batcher.state is State.READY)
    bench.submit(bench.job(slot=1))
    assert bench.called() == ("zero_shot", [1])
    bench.engine.permits.release()
    bench.batcher.stop()
