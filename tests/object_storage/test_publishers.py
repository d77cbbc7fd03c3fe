"""Many publishers, killed at random: whoever reads finds a whole task, old or new."""

from pathlib import Path

import pytest

from artifacts.store.objects import ObjectStore
from tests.object_storage.conftest import URL
from tests.object_storage.contest import contest

PUBLISHES = 250


@pytest.mark.slow
def test_every_read_is_a_whole_task_while_publishers_are_killed(store: ObjectStore, tmp_path: Path) -> None:
    """`python -m tests.object_storage.contest 1000` is the long run."""
    counted = contest(URL, tmp_path, PUBLISHES)
    assert counted["published"] >= PUBLISHES
    assert counted["killed"] >= 8
    assert counted["reads"] > 20
    assert counted["versions_read"] > 4  # it was read while it changed
