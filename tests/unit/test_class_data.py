"""Pictures with classes: the two layouts, what is refused, and which few shots are drawn."""

import json
import random
from pathlib import Path

import pytest

from artifacts.errors import DatasetError
from artifacts.taskres.labelled import Labelled, base_and_novel, load_labelled
from artifacts.taskres.shots import few_shots
from artifacts.taskres.task import in_order


def folders(root: Path, **classes: int) -> Path:
    for split in ("train", "test"):
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                (root / split / name / f"{number}.png").touch()
    return root


def test_class_folders(tmp_path: Path) -> None:
    splits = load_labelled(folders(tmp_path, cat=2, ant=1))
    assert sorted(splits) == ["test", "train"]
    train = splits["train"]
    assert train.names == ("ant", "cat")
    assert train.labels == (0, 1, 1)
    assert [file.name for file in train.files] == ["0.png", "0.png", "1.png"]


@pytest.mark.parametrize("gone", ["train", "test"])
def test_a_split_that_is_missing_is_named(tmp_path: Path, gone: str) -> None:
    folders(tmp_path, cat=1)
    (tmp_path / gone).rename(tmp_path / "other")
    with pytest.raises(DatasetError, match="it needs train/CLASS"):
        load_labelled(tmp_path)


def test_splits_with_other_classes_are_refused(tmp_path: Path) -> None:
    folders(tmp_path, cat=1)
    (tmp_path / "test" / "dog").mkdir()
    with pytest.raises(DatasetError, match="differ in classes: dog"):
        load_labelled(tmp_path)
    (tmp_path / "train" / "dog").mkdir()
    with pytest.raises(DatasetError, match="dog holds no pictures"):
        load_labelled(tmp_path)


def split_file(path: Path, **splits: list[list[object]]) -> Path:
    path.write_text(json.dumps(splits))
    return path


def test_a_split_file(tmp_path: Path) -> None:
    rows: list[list[object]] = [["b/1.jpg", 1, "basset_hound"], ["a/1.jpg", 0, "ant"]]
    path = split_file(tmp_path / "split.json", train=rows, val=rows[:1], test=rows[1:])
    splits = load_labelled(path)
    assert splits["train"].names == splits["test"].names == ("ant", "basset_hound")
    assert splits["train"].labels == (1, 0)
    assert splits["val"].files == (tmp_path / "b/1.jpg",)
    assert load_labelled(path, Path("/pictures"))["test"].files == (Path("/pictures/a/1.jpg"),)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["1.jpg", 0, "ant"], ["2.jpg", 0, "cat"]], "class 0 is 'ant' and 'cat'"),
        ([["1.jpg", 0, "ant"], ["2.jpg", 2, "cat"]], r"not numbered 0\.\.1"),
        ([["1.jpg", 0, "ant"], ["2.jpg", 1, "ant"]], "two classes have the name 'ant'"),
        ([["1.jpg", 0]], "is not one of CoOp's split files"),
        ([], "no pictures to train on"),
    ],
)
def test_a_split_file_that_is_none_is_refused(tmp_path: Path, rows: list[list[object]], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_labelled(split_file(tmp_path / "split.json", train=rows, test=rows))


LABELS = [2, 0, 1, 0, 2, 1, 0, 1, 2, 0]


def test_shots_are_those_of_the_public_draw() -> None:
    """A generator seeded once draws from each class in the order of first appearance; validation comes after."""
    rng = random.Random(3)
    train = [row for own in ([0, 4, 8], [1, 3, 6, 9], [2, 5, 7]) for row in rng.sample(own, 2)]
    validation = [row for own in ([0, 2], [1, 3]) for row in rng.sample(own, 2)]
    drawn = few_shots(LABELS, [0, 1, 0, 1], 2, seed=3)
    assert drawn.train == tuple(train)
    assert drawn.validation == tuple(validation)
    assert few_shots(LABELS, None, 2, seed=4).train != drawn.train


def test_validation_without_a_split_is_what_the_shots_left() -> None:
    drawn = few_shots(LABELS, None, 2, seed=1)
    assert not set(drawn.train) & set(drawn.validation)
    assert sorted(LABELS[row] for row in drawn.validation) == [0, 0, 1, 2]
    assert sorted(few_shots(LABELS, None, 16, seed=1).train) == list(range(10))


def test_classes_are_matched_by_name() -> None:
    splits = {"train": Labelled((Path("c"), Path("a")), (1, 0), ("ant", "cat"))}
    turned = in_order(splits, ("cat", "ant"))["train"]
    assert (turned.names, turned.labels) == (("cat", "ant"), (0, 1))
    with pytest.raises(DatasetError, match="only one of them has: cat, dog"):
        in_order(splits, ("ant", "dog"))


def test_base_and_novel_classes() -> None:
    assert base_and_novel("abcde") == (("a", "b", "c"), ("d", "e"))
    novel = Labelled((Path("1"), Path("2"), Path("3")), (2, 0, 1), ("a", "b", "c")).classes(("c",))
    assert (novel.files, novel.labels, novel.names) == ((Path("1"),), (0,), ("c",))
    with pytest.raises(DatasetError, match="no class 'x'"):
        novel.classes(("x",))
