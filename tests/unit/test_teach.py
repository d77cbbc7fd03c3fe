"""Teaching from pairs: prompts among themselves, the search, and what is published or refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from artifacts import teach as teach_module
from artifacts.data.datasets import held_out_scenes
from artifacts.data.episodes import Episodes
from artifacts.data.mutual_prompts import PROMPTS, mutual_prompts, queries
from artifacts.data.pairs import load_pairs
from artifacts.data.scenes import Scenes
from artifacts.errors import ArtifactError, DatasetError
from artifacts.evaluation.bootstrap import Interval
from artifacts.store.artifact import load_artifact
from artifacts.store.folder import Store
from artifacts.teach import publish, refusal, teach
from benchmarks.teach import inverted
from cli.main import main
from engine.checkpoint import load_model


def pairs(count: int) -> Scenes:
    """Random pictures and their negatives."""
    pictures = np.random.default_rng(0).integers(0, 256, (count, 111, 111, 3), dtype=np.uint8)
    return Scenes(pictures, np.zeros((count, 111, 111), np.uint8), None, 255 - pictures)


def test_pairs_prompt_each_other_both_ways_round() -> None:
    some = pairs(3)
    prompts = mutual_prompts(some, 0)
    assert len(prompts) == 3 * 2 * 4
    np.testing.assert_array_equal(prompts.answer, 255 - prompts.query)
    np.testing.assert_array_equal(prompts.example_output, 255 - prompts.example_input)
    seen = {(e.tobytes(), q.tobytes()) for e, q in zip(prompts.example_input, prompts.query, strict=True)}
    assert len(seen) == len(prompts)
    for picture in some.pictures:
        own = {picture.tobytes(), picture[:, ::-1].tobytes()}
        assert not any(e in own and q in own for e, q in seen)
    assert len(mutual_prompts(pairs(12), 0)) == PROMPTS
    assert len(queries(some, mirrored=True)) == 2 * len(queries(some, mirrored=False))


@pytest.mark.slow
def test_a_third_is_held_out(tiny_model: tuple[Path, str]) -> None:
    model, mark = load_model(tiny_model[0])
    lines: list[str] = []
    taught = teach(model, mark, "negative", pairs(6), lines.append, steps=2)
    assert any("among 4 pairs" in line for line in lines)
    assert json.loads(taught.metadata["metric"])["split"] == "2 pairs held out"
    assert taught.metadata["method"] == "gates"
    assert taught.vector.sites
    again = teach(model, mark, "negative", pairs(6), lines.append, steps=2)
    assert again.error == taught.error


def test_a_vector_is_judged_on_pairs_it_has_not_seen(
    tiny_model: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, mark = load_model(tiny_model[0])
    seen: dict[str, set[bytes]] = {"learnt": set(), "judged": set()}

    def watched(name: str, kind: str) -> None:
        """The real function, with the pictures of all episodes that it is given remembered."""
        real = getattr(teach_module, name)

        def call(*args: Any) -> Any:
            for value in args:
                for part in [value] if isinstance(value, Episodes) else episodes_within(value):
                    seen[kind] |= {cell.tobytes() for cell in (*part.query, *part.query[:, :, ::-1])}
            return real(*args)

        monkeypatch.setattr(teach_module, name, call)

    for name in ("collect", "search", "choose_settings", "with_confidence"):
        watched(name, "learnt")
    watched("error_of", "judged")
    teach(model, mark, "negative", pairs(6), lambda _: None, steps=1)
    assert len(seen["learnt"]) == 2 * 4
    assert len(seen["judged"]) == 2 * 2
    assert not seen["learnt"] & seen["judged"]


def episodes_within(value: object) -> list[Episodes]:
    """Of the data of a search."""
    data = value if isinstance(value, list) else []
    return [episodes for part in data for episodes in (part.train, part.validation)]


def test_few_pairs_are_not_searched(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    model, mark = load_model(tiny_model[0])
    taught = teach(model, mark, "negative", pairs(2), lambda _: None)
    assert taught.metadata["method"] == "layouts"
    assert json.loads(taught.metadata["metric"])["split"] == "its own 2 pairs"
    assert publish(taught, tmp_path).hash == Store(tmp_path).hash_of("negative")
    assert set(taught.floors) == {"no vector", "copy the input", "mean colour"}
    worse = replace(taught, error=Interval(2, 1, 3), floors={"no vector": Interval(3, 2, 4), "copy": Interval(1, 0, 2)})
    assert not worse.better
    assert "MSE 2.000 with the vector is no better than 1.000 (copy)" in refusal(worse)
    assert replace(worse, error=Interval(0.9, 0, 1)).better
    with pytest.raises(DatasetError, match="2 pairs or more"):
        teach(model, mark, "negative", pairs(1), lambda _: None)
    with pytest.raises(ArtifactError, match="task name"):
        teach(model, mark, "../negative", pairs(2), lambda _: None)


@pytest.mark.parametrize("force", [False, True])
def test_the_command(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], force: bool
) -> None:
    some = pairs(2)
    write_pairs(tmp_path, some)
    np.testing.assert_array_equal(load_pairs(tmp_path, 111).pictures, some.pictures)
    words = ["teach", "negative", "--examples", str(tmp_path), "--store", str(tmp_path / "s"), "--json"]
    code = main([*words, "--model", str(tiny_model[0]), *(["--force"] if force else [])])
    entry = json.loads(capsys.readouterr().out)
    metric = entry["metric"]
    floor = min(metric[name] for name in ("no_vector", "copy_the_input", "mean_colour"))
    assert code == (0 if force or metric["value"] < floor else 1)
    assert Store(tmp_path / "s").names() == (["negative"] if code == 0 else [])
    if code == 0:
        path = Store(tmp_path / "s").path_of(entry["artifact"])
        assert load_artifact(path, tiny_model[1]).task == "negative"


@pytest.mark.slow
def test_an_inverted_mask_is_taught_by_the_command(
    tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real pictures of the bundled data set and black objects on white; the model's own weights are random."""
    some = inverted(held_out_scenes("demo", 111, None, 7), 7, 0)
    assert some.outputs is not None
    assert set(np.unique(some.outputs)) == {0, 255}
    write_pairs(tmp_path / "pairs", some)
    words = ["teach", "inverse_mask", "--examples", str(tmp_path / "pairs"), "--store", str(tmp_path / "s"), "--json"]
    words += ["--model", str(tiny_model[0]), "--steps", "2"]
    code = main(words)
    out, told = capsys.readouterr()
    entry = json.loads(out)
    metric = entry["metric"]
    assert metric["split"] == "2 pairs held out"
    assert metric["mean_colour"] < metric["copy_the_input"]
    good = metric["value"] < min(metric[name] for name in ("no_vector", "copy_the_input", "mean_colour"))
    assert code == (0 if good else 1)
    assert ("is not published: MSE" in told) == (not good)
    assert main([*words, "--force"]) == 0
    assert Store(tmp_path / "s").read("inverse_mask").metadata["method"] == "gates"


def test_one_pair_is_named(tiny_model: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path / "one", pairs(1))
    words = ["teach", "negative", "--examples", str(tmp_path / "one"), "--store", str(tmp_path / "s")]
    assert main([*words, "--model", str(tiny_model[0])]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"vtv teach: {tmp_path / 'one'} holds one pair: teach needs 2 or more")
    assert told.count("\n") == 1


def write_pairs(root: Path, some: Scenes) -> None:
    """A folder of pairs, as `--examples` takes it."""
    assert some.outputs is not None
    for folder, cells in (("input", some.pictures), ("output", some.outputs)):
        (root / folder).mkdir(parents=True)
        for index, cell in enumerate(cells):
            Image.fromarray(cell).save(root / folder / f"{index}.png")
