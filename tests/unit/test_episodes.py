"""Episodes: by their seed alone, example and query of other scenes, and cells of the scenes that they name."""

import numpy as np
import pytest

from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.pairs import split_pairs
from artifacts.data.scenes import Scenes
from artifacts.errors import DatasetError
from artifacts.tasks import TASKS

SIDE = 12


def scenes(count: int, classes: list[int] | None = None) -> Scenes:
    """Noise without a black pixel; labels count down, so that they tell the scenes apart."""
    pictures = np.random.default_rng(count).integers(1, 256, (count, SIDE, SIDE, 3), np.uint8)
    groups = None if classes is None else np.asarray(classes)
    return Scenes(pictures, np.zeros(pictures.shape[:3], np.uint8), groups, labels=np.arange(count, 0, -1))


def made(given: Scenes, count: int, seed: int = 0, task: str = "identity") -> Episodes:
    return make_episodes(given, TASKS[task], count, seed)


def places(episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the examples' scenes and of the queries'."""
    assert episodes.scenes is not None
    return episodes.scenes[:, 0], episodes.scenes[:, 1]


def test_a_seed_tells_the_episodes() -> None:
    first, again, other = (made(scenes(5), 20, seed, "inpaint") for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert np.array_equal(first.scenes, again.scenes)
    assert not np.array_equal(first.scenes, other.scenes)


def test_cells_are_of_the_scenes_that_are_named() -> None:
    given = scenes(4)
    episodes = made(given, 9)
    examples, queries = places(episodes)
    assert len(episodes) == 9
    for cells, of in ((episodes.example_input, examples), (episodes.example_output, examples)):
        assert np.array_equal(cells, given.pictures[of])
    for cells, of in ((episodes.query, queries), (episodes.answer, queries)):
        assert np.array_equal(cells, given.pictures[of])
    assert given.labels is not None
    assert np.array_equal(episodes.labels, given.labels[queries])
    assert made(Scenes(given.pictures, given.masks), 2).labels is None


def test_queries_go_through_the_scenes_in_turn_and_any_other_is_an_example() -> None:
    examples, queries = places(made(scenes(5), 200))
    for turn in queries.reshape(-1, 5):
        assert sorted(turn) == [0, 1, 2, 3, 4]
    assert set((examples - queries) % 5) == {1, 2, 3, 4}


def test_examples_are_any_other_scene_of_the_querys_class() -> None:
    groups = np.asarray([7, 3, 7, 3, 7, 7])
    examples, queries = places(made(scenes(6, list(groups)), 240))
    assert np.array_equal(groups[examples], groups[queries])
    assert not (examples == queries).any()
    pairs = set(zip(examples.tolist(), queries.tolist(), strict=True))
    assert len(pairs) == 4 * 3 + 2 * 1
    with pytest.raises(DatasetError, match="class 3 has one scene only"):
        made(scenes(3, [7, 3, 7]), 3)


def test_example_and_query_share_a_hole_which_moves_from_episode_to_episode() -> None:
    given = scenes(4)
    episodes = made(given, 30, task="inpaint")
    holes = (episodes.query == 0).all(-1)
    assert np.array_equal(holes, (episodes.example_input == 0).all(-1))
    assert (holes.sum((1, 2)) == (SIDE // 4) ** 2).all()
    assert len(np.unique(holes, axis=0)) > 15
    assert np.array_equal(episodes.answer, given.pictures[places(episodes)[1]])


def test_two_scenes_are_the_least() -> None:
    assert np.array_equal(np.sort(made(scenes(2), 4).scenes, axis=1), [[0, 1]] * 4)
    with pytest.raises(DatasetError, match="at least 2 scenes, there are 1"):
        made(scenes(1), 1)


def test_of_every_four_pairs_two_search_one_validates_and_one_tests() -> None:
    given = scenes(10)
    parts = split_pairs(given)
    expected = {"search": [0, 2, 4, 6, 8], "validation": [1, 5, 9], "test": [3, 7]}
    assert parts.keys() == expected.keys()
    for name, numbers in expected.items():
        assert np.array_equal(parts[name].pictures, given.pictures[numbers]), name
