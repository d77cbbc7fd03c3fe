"""`vtv taskres` from class folders to a store, over a tower of random weights; and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from artifacts.store.folder import Store
from artifacts.store.residual import load_residual
from artifacts.taskres.text_map import FILE, load_text_map
from cli.main import main as vtv
from tests.unit.taskres_data import NAMES, make_class_folders, make_tower_folder

Capture = pytest.CaptureFixture[str]
SAVED = Path(__file__).parents[1] / "data/taskres/checkpoint/d64_reg_a10_b64/prompt_learner"
CHECKPOINT = SAVED / "model.pth.tar-10"


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tower")
    make_tower_folder(folder)
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, tower: Path) -> Path:
    """Class folders, and a base of their names."""
    folder = tmp_path_factory.mktemp("work")
    make_class_folders(folder / "data")
    words = ["taskres", "base", "--dataset", str(folder / "data"), "--tower", str(tower)]
    assert vtv([*words, "--task", "animals", "-o", str(folder / "animals.base")]) == 0
    return folder


def call(words: str, work: Path, tower: Path) -> int:
    """`vtv taskres WORDS` with the tower, where the files are; nothing is compiled."""
    inside = [str(work / word[1:]) if word.startswith("@") else word for word in words.split()]
    plain = ["--precision", "float32"] if inside[0] in ("train", "evaluate") else []
    return vtv(["taskres", *inside, "--tower", str(tower), *plain])


def refused(words: str, work: Path, tower: Path, capsys: Capture) -> str:
    capsys.readouterr()
    assert call(words, work, tower) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


def test_from_pictures_to_a_published_task(work: Path, tower: Path, capsys: Capture) -> None:
    base = load_residual(work / "animals.base")
    assert base.value.labels == NAMES
    assert not base.value.residual.any()
    assert torch.equal(base.value.base, load_text_map(tower, base.value.tower).rows[:3])

    trained = "train @animals.base --dataset @data --cache @cache --shots 3 --rate 0.02 --json -o @animals.task"
    capsys.readouterr()
    assert call(trained, work, tower) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["metric"]["value"] > 0.8
    assert first["metric"]["episodes"] == 12
    again = trained.replace("@animals.task", "@again.task")
    assert call(again, work, tower) == 0
    learned = [load_residual(work / name).value.residual for name in ("animals.task", "again.task")]
    assert torch.equal(*learned)
    assert learned[0].any()

    capsys.readouterr()
    assert call("publish @animals.task --store @store", work, tower) == 0
    digest = capsys.readouterr().out.split()[1]
    published = Store(work / "store").read_residual("animals")
    assert published.hash == digest
    assert json.loads(published.metadata["metric"]) == first["metric"]
    assert "ant, basset hound, cat" in published.description


def test_a_task_on_other_data_of_some_of_its_classes(work: Path, tower: Path, tmp_path: Path, capsys: Capture) -> None:
    """Rows are found by name: the data set has two of the three classes, in an order of its own."""
    assert call("train @animals.base --dataset @data --cache @cache --rate 0.02 -o @own.task", work, tower) == 0
    make_class_folders(tmp_path / "fewer", ("cat", "ant"))
    capsys.readouterr()
    words = f"evaluate --task @own.task --dataset {tmp_path / 'fewer'} --cache @cache --json"
    assert call(words, work, tower) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dataset"], found["episodes"]) == ("fewer", 8)
    assert found["value"] > 0.8


def test_the_comparison_as_json(work: Path, tower: Path, capsys: Capture) -> None:
    words = "evaluate --base @animals.base --dataset @data --cache @cache --shots 1 --seeds 1 --json -o @table.json"
    capsys.readouterr()
    assert call(words, work, tower) == 0
    told = capsys.readouterr().out
    assert json.loads(told) == json.loads((work / "table.json").read_text())
    assert json.loads(told)["test"] == 12


def test_alpha_may_be_chosen_or_learnt(work: Path, tower: Path) -> None:
    words = "train @animals.base --dataset @data --cache @cache --shots 2 --epochs 30 --rate 0.02 -o @alpha.task"
    assert call(f"{words} --alpha auto", work, tower) == 0
    assert load_residual(work / "alpha.task").value.alpha in (0.125, 0.25, 0.5, 1.0, 2.0)
    assert call(f"{words} --learn-alpha", work, tower) == 0
    assert load_residual(work / "alpha.task").value.alpha not in (0.125, 0.25, 0.5, 1.0, 2.0)


def test_own_classes(work: Path, tower: Path, capsys: Capture) -> None:
    assert call("base --own-classes --task objects --json -o @objects.base", work, tower) == 0
    artifact = load_residual(work / "objects.base")
    value, told = artifact.value, json.loads(capsys.readouterr().out)
    assert told == {"task": "objects", "artifact": artifact.hash, "classes": 4, "method": "class names"}
    assert (value.labels, value.scale) == ((*NAMES, "dog"), 20.0)
    assert call("base --own-classes --task objects --scale 7.5 -o @scaled.base", work, tower) == 0
    assert load_residual(work / "scaled.base").value.scale == 7.5


def test_names_that_differ_in_case_and_underscores_are_the_classifiers(work: Path, tower: Path) -> None:
    (work / "names.txt").write_text("Basset_Hound\n\ndog\n")
    assert call("base --names @names.txt --task dogs -o @dogs.base", work, tower) == 0
    value = load_residual(work / "dogs.base").value
    assert value.labels == ("Basset_Hound", "dog")
    assert torch.equal(value.base, load_text_map(tower, value.tower).rows[[1, 3]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ant\ncat\nant\n", "names class 'ant' twice"),
        (b"\n\n", "names no class"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
    ],
)
def test_wrong_names_are_refused(content: bytes, says: str, work: Path, tower: Path, capsys: Capture) -> None:
    (work / "wrong.txt").write_bytes(content)
    assert says in refused("base --names @wrong.txt --task x -o @x.base", work, tower, capsys)


def test_mismatches_are_refused_by_name(work: Path, tower: Path, tmp_path: Path, capsys: Capture) -> None:
    """Base-to-novel, another data set, another tower: none of them gives an answer in silence."""
    other = make_class_folders(tmp_path / "other", ("ant", "cat"))
    train = f"train @animals.base --dataset {other} --cache @cache -o @x.task"
    assert "only one of them has: basset hound" in refused(train, work, tower, capsys)
    (other / "train" / "cat").rename(other / "train" / "yak")
    (other / "test" / "cat").rename(other / "test" / "yak")
    novel = f"evaluate --task @animals.base --dataset {other} --cache @cache"
    assert "class 'yak' is none of the task's 3" in refused(novel, work, tower, capsys)
    shutil.copytree(tower, tmp_path / "tower")
    text = (tmp_path / "tower" / "tower.json").read_text()
    mark = json.loads(text)["fingerprint"]
    (tmp_path / "tower" / "tower.json").write_text(text.replace(mark, "0" * 64))
    for words in ("publish @animals.base --store @store", "train @animals.base --dataset @data -o @x.task"):
        assert "this one is 000000000000" in refused(words, work, tmp_path / "tower", capsys)
    assert "is not of this tower" in refused("base --own-classes --task x -o @x", work, tmp_path / "tower", capsys)
    (tmp_path / "tower" / FILE).unlink()
    assert "has no class texts" in refused("base --own-classes --task x -o @x", work, tmp_path / "tower", capsys)


def test_alpha_cannot_be_chosen_and_learnt(work: Path, tower: Path, capsys: Capture) -> None:
    words = "train @animals.base --dataset @data --alpha auto --learn-alpha -o @x.task"
    assert "does not go with --alpha auto" in refused(words, work, tower, capsys)
    words = "evaluate --base @animals.base --dataset @data --alpha auto"
    assert "give it as a number" in refused(words, work, tower, capsys)


def test_shots_that_leave_nothing_to_choose_on(work: Path, tower: Path, capsys: Capture) -> None:
    words = "train @animals.base --dataset @data --cache @cache --shots 5 --alpha auto -o @x.task"
    assert "no picture is left to choose settings on" in refused(words, work, tower, capsys)


def test_a_template_without_a_place_for_the_name(work: Path, tower: Path, capsys: Capture) -> None:
    (work / "new.txt").write_text("yak\n")
    words = ["--names", str(work / "new.txt"), "--template", "a photo", "--task", "x", "-o", str(work / "x.base")]
    assert vtv(["taskres", "base", *words, "--tower", str(tower)]) == 2
    assert "a template holds one {} for the class name" in capsys.readouterr().err


def test_checkpoints_that_do_not_fit_are_refused(work: Path, tower: Path, capsys: Capture) -> None:
    words = f"import {CHECKPOINT} --names @many.txt --alpha 0.5 --scale 100 --task x -o @x.task"
    (work / "many.txt").write_text("ant\ncat\n")
    assert "classes, not 2: of another data set, or of half of one?" in refused(words, work, tower, capsys)
    rows = len(checkpoint_rows())
    (work / "many.txt").write_text("\n".join(f"class {row}" for row in range(rows)))
    assert "is of features 64 wide; the tower gives 1280" in refused(words, work, tower, capsys)


def checkpoint_rows() -> torch.Tensor:
    from artifacts.taskres.public_checkpoint import read_residual

    return read_residual(CHECKPOINT).base
