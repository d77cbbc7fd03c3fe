"""The artifact of a classification task: what comes back, what is refused, and that it shares a store."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from artifacts.errors import ArtifactError
from artifacts.store.folder import Store
from artifacts.store.residual import TaskResidual, load_residual, save_residual
from artifacts.taskres.task import describe
from cli.main import main as vtv
from engine.errors import EngineError
from tests.support import make_artifact

LABELS, TOWER, WIDTH = ("ant", "basset hound", "cat"), "f" * 64, 8


def value(**changes: object) -> TaskResidual:
    generator = torch.Generator().manual_seed(1)
    base, residual = torch.randn(2, 3, WIDTH, generator=generator)
    good: dict[str, object] = {
        "base": base, "residual": residual, "alpha": 0.5, "scale": 40.0, "labels": LABELS, "tower": TOWER
    }  # fmt: skip
    return TaskResidual(**good | changes)  # type: ignore[arg-type]


def saved(path: Path, task: str = "animals") -> Path:
    save_residual(path, value(), describe(task, "task residual", 16, 1, "animals"))
    return path


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    held = load_residual(saved(tmp_path / "a.safetensors"), TOWER)
    wanted = value()
    assert torch.equal(held.value.base, wanted.base)
    assert torch.equal(held.value.residual, wanted.residual)
    assert (held.value.alpha, held.value.scale, held.value.labels) == (0.5, 40.0, LABELS)
    matrix = wanted.base + 0.5 * wanted.residual
    torch.testing.assert_close(held.value.head().matrix, torch.nn.functional.normalize(matrix))
    assert held.metadata["kind"] == "classification"


def test_what_float16_holds_exactly_is_stored_in_it(tmp_path: Path) -> None:
    halves = value().base.half()
    zero_shot = value(base=halves.float(), residual=torch.zeros(3, WIDTH))
    save_residual(tmp_path / "a", zero_shot, describe("animals", "class names", 0, 0, "none"))
    assert {tensor.dtype for tensor in load_file(tmp_path / "a").values()} == {torch.float16}
    held = load_residual(tmp_path / "a").value
    assert held.base.dtype == held.residual.dtype == torch.float32
    assert torch.equal(held.head().matrix, zero_shot.head().matrix)


def test_another_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="made for tower ffffffffffff, this one is 000000000000"):
        load_residual(saved(tmp_path / "a.safetensors"), "0" * 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("ant", "cat", "ant")}, "'ant' is empty or occurs twice"),
        ({"labels": ("ant", "cat")}, "2 class names do not fit"),
        ({"residual": torch.full((3, WIDTH), torch.nan)}, "class 'ant' is not a finite vector"),
        ({"base": torch.zeros(3, WIDTH), "residual": torch.zeros(3, WIDTH)}, "class 'ant' is not a finite vector"),
        ({"residual": torch.zeros(3, 1)}, "does not fit a base"),
        ({"scale": float("inf")}, "scale must be finite"),
    ],
)
def test_what_could_not_be_served_is_not_written(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        save_residual(tmp_path / "a.safetensors", value(**changes), describe("animals", "none", 0, 0, "x"))
    assert not list(tmp_path.iterdir())


ONES = torch.ones(3, WIDTH)
HOSTILE: dict[str, tuple[dict[str, torch.Tensor], dict[str, str], str]] = {
    "fewer names than rows": ({}, {"labels": '["ant", "cat"]'}, "2 class names do not fit"),
    "more names than rows": ({}, {"labels": '["a", "b", "c", "d"]'}, "4 class names do not fit"),
    "fewer residuals than rows": ({"residual": ONES[:2]}, {}, "does not fit a base"),
    "a name twice": ({}, {"labels": '["ant", "ant", "cat"]'}, "'ant' is empty or occurs twice"),
    "names that are no list": ({}, {"labels": "no list"}, "labels are no list of class names"),
    "not a number": ({"base": torch.full((3, WIDTH), torch.nan)}, {}, "class 'ant' is not a finite vector"),
    "an endless residual": ({"residual": torch.inf * ONES}, {}, "class 'ant' is not a finite vector"),
    "zero rows": ({"base": 0 * ONES, "residual": 0 * ONES}, {}, "class 'ant' is not a finite vector"),
    "rows that cancel": ({"base": ONES, "residual": -2 * ONES}, {}, "class 'ant' is not a finite vector"),
    "alpha no number": ({}, {"alpha": "much"}, "alpha and scale are no numbers"),
    "scale not a number": ({}, {"scale": "nan"}, "scale must be finite"),
    "another schema": ({}, {"schema": "vtv-task-residual-9"}, "has schema 'vtv-task-residual-9'"),
    "a name that leaves the store": ({}, {"task": "../up"}, "must be 1 to 64 letters"),
    "another type": ({"base": ONES.double()}, {}, "are float32 or float16, not"),
    "one tensor more": ({"more": ONES}, {}, "holds base, more, residual"),
}


@pytest.mark.parametrize(("tensors", "metadata", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], message: str
) -> None:
    good = load_residual(saved(tmp_path / "good.safetensors"))
    held = {"base": good.value.base, "residual": good.value.residual} | tensors
    save_file(held, tmp_path / "bad.safetensors", metadata=good.metadata | metadata)
    with pytest.raises(ArtifactError, match=message):
        load_residual(tmp_path / "bad.safetensors")


def test_code_in_place_of_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "bad").write_bytes(b"cos\nmkdir\n(V%s\ntR." % str(made).encode())
    with pytest.raises(ArtifactError, match="bad"):
        load_residual(tmp_path / "bad")
    pickle.loads((tmp_path / "bad").read_bytes())  # it would have
    assert made.is_dir()


def test_rows_are_found_by_name() -> None:
    """One residual on another data set: its classes in that data set's order; of other classes it knows nothing."""
    chosen = value().rows(("cat", "ant"))
    assert torch.equal(chosen.base, value().base[[2, 0]])
    assert torch.equal(chosen.residual, value().residual[[2, 0]])
    with pytest.raises(ArtifactError, match="class 'dog' is none of the task's 3"):
        value().rows(("cat", "dog"))


def test_both_kinds_share_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "store")
    make_artifact(tmp_path / "painted.safetensors", "segmentation", "m" * 64, 1)
    store.publish(tmp_path / "painted.safetensors")
    published = store.publish_residual(saved(tmp_path / "a.safetensors"), TOWER)
    assert store.names() == ["animals", "segmentation"]
    assert store.read_residual("animals", TOWER).hash == published.hash
    with pytest.raises(ArtifactError, match="has schema 'vtv-task-residual-1'"):
        store.read("animals")
    with pytest.raises(ArtifactError, match="has schema 'vtv-task-vector-1'"):
        store.publish_residual(tmp_path / "painted.safetensors")
    assert vtv(["tasks", "--store", str(store.root)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["TASK", "animals", "segmentation"]
    assert vtv(["tasks", "show", "animals", "--store", str(store.root)]) == 0
    assert "3: ant, basset hound, cat" in capsys.readouterr().out
    assert vtv(["tasks", "show", "animals", "--html", str(tmp_path / "a.html"), "--store", str(store.root)]) == 2
    assert "answers with classes" in capsys.readouterr().err
