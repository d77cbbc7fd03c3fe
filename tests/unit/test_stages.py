"""Stages as they are said and as they are followed."""

import pytest

from artifacts.stages import Follower, Stages


def test_progress_counts_stages_alike_and_steps_within() -> None:
    told: list[tuple[str, float]] = []
    follower = Follower(lambda name, progress: told.append((name, progress)))
    stages = Stages("x", ("collect", "choose settings"), follower)
    follower("x: step 3/4, before any stage")
    stages.begin("collect")
    follower("x: collect: step 1/4, loss 2, 3 s left")
    follower("x: a line of another kind")
    stages.begin("choose settings")
    follower("x: step 2/2, 0 s left")
    assert told == [("collect", 0.0), ("collect", 0.125), ("choose settings", 0.5), ("choose settings", 1.0)]


def test_a_stage_that_was_not_announced_is_a_fault() -> None:
    with pytest.raises(ValueError, match="tuple"):
        Stages("x", ("collect",), print).begin("search")
