"""In how many parts OpenVINO computes a batch."""

import pytest

from engine.backends.openvino import parts_of


@pytest.mark.parametrize(
    ("rows", "most", "parts"), [(1, 4, 1), (8, 2, 2), (8, 1, 1), (8, 16, 8), (6, 4, 3), (7, 4, 1), (12, 8, 6)]
)
def test_a_batch_goes_in_equal_parts_no_more_than_asked_for(rows: int, most: int, parts: int) -> None:
    assert parts_of(rows, most) == parts
