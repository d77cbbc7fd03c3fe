"""service.batching.batch_times: how long batches take."""

import math

from service.batching.batch_times import BatchTimes


def test_nothing_is_known_at_first() -> None:
    assert BatchTimes((1, 2, 4)).expected(1) == math.inf


def test_batches_of_one_bucket_tell_of_each_other() -> None:
    times = BatchTimes((1, 2, 4, 8, 16))
    times.observe(5, 2.0)
    assert [times.expected(size) for size in (4, 5, 8, 9)] == [math.inf, 2.0, 2.0, math.inf]


def test_it_follows_what_changes() -> None:
    times = BatchTimes((1, 2, 4, 8, 16))
    times.observe(1, 1.0)
    times.observe(1, 2.0)
    assert 1.0 < times.expected(1) < 1.5
    for _ in range(50):
        times.observe(1, 2.0)
    assert abs(times.expected(1) - 2.0) < 1e-3


def paced(**seconds: float) -> BatchTimes:
    """What is known of the buckets 1, 2, 4 and 8, by name: `of_4=3.0`."""
    times = BatchTimes((1, 2, 4, 8))
    for name, took in seconds.items():
        times.observe(int(name.removeprefix("of_")), took)
    return times


def test_all_who_wait_go_together_where_a_batch_takes_hardly_longer_than_an_image() -> None:
    times = paced(of_1=4.0, of_2=4.2, of_4=4.5, of_8=5.0)
    assert [times.next_batch(waiting) for waiting in range(1, 11)] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_buckets_are_filled_where_every_row_costs_its_time() -> None:
    times = paced(of_1=9.0, of_2=16.0, of_4=34.0, of_8=64.0)
    assert [times.next_batch(waiting) for waiting in range(1, 11)] == [1, 2, 2, 4, 4, 4, 4, 8, 8, 8]


def test_what_remains_may_be_split_again() -> None:
    """Seven as four and three in the bucket of four would take as long as eight; as four, two and one they do not."""
    assert paced(of_1=1.0, of_2=2.0, of_4=4.0, of_8=8.0).next_batch(7) == 4
    assert paced(of_1=3.0, of_2=3.0, of_4=4.0, of_8=8.0).next_batch(7) == 7


def test_what_was_never_seen_is_tried() -> None:
    """Else three would be four rows forever: they wait in threes because one went ahead."""
    assert paced().next_batch(7) == 7
    assert paced(of_1=1.0, of_2=2.0).next_batch(3) == 3
    assert paced(of_1=1.0, of_4=4.0).next_batch(3) == 2
    assert paced(of_2=0.3, of_4=0.5).next_batch(3) == 2


def test_an_engine_may_have_no_bucket_of_one() -> None:
    times = BatchTimes((4, 8))
    times.observe(4, 4.0)
    times.observe(8, 9.0)
    assert [times.next_batch(waiting) for waiting in (1, 3, 5)] == [1, 3, 4]
