"""Progress of long work where there is no terminal: lines, neither none nor thousands."""

import pytest

from artifacts.progress import MOST_LINES, Steps


@pytest.mark.parametrize(("total", "lines"), [(3, 3), (19, 19), (100, 5), (30_000, MOST_LINES)])
def test_lines(total: int, lines: int) -> None:
    told: list[str] = []
    shown = Steps("work", total, 0, told.append)
    for _ in range(total):
        shown.update("going on")
    shown.close()
    assert len(told) == lines
    assert told[-1] == f"work: step {total}/{total}, going on, 0 s left"
