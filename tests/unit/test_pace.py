"""service.pace: how long batches take."""

import math

from service.pace import Pace


def test_nothing_is_known_at_first() -> None:
    assert Pace().expected(1) == math.inf


def test_batches_of_about_the_same_size_tell_of_each_other() -> None:
    pace = Pace()
    pace.observe(5, 2.0)
    assert [pace.expected(size) for size in (4, 5, 8, 9)] == [math.inf, 2.0, 2.0, math.inf]


def test_it_follows_what_changes() -> None:
    pace = Pace()
    pace.observe(1, 1.0)
    pace.observe(1, 2.0)
    assert 1.0 < pace.expected(1) < 1.5
    for _ in range(50):
        pace.observe(1, 2.0)
    assert abs(pace.expected(1) - 2.0) < 1e-3
