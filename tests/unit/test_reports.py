"""What people read: quality measures, tables, pages, the sites of an artifact, taskness, full size, composites."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.collect.means import Collected, Means, save_means
from artifacts.collect.taskness import taskness
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import OfflineError
from artifacts.evaluation.classes import class_iou
from artifacts.evaluation.full_size import shrunk
from artifacts.evaluation.quality import PSNR_LIMIT, colour_difference, psnr, ssim
from artifacts.evaluation.sections import sections
from artifacts.evaluation.table import evaluate_task
from artifacts.evaluation.ways import BARE, CONSTANT, COPY, ONE_SHOT, TOKENIZER, VECTOR
from artifacts.store.folder import Store
from artifacts.store.sites import site_groups, site_text
from artifacts.tasks import TASKS
from cli.main import main
from engine.checkpoint import load_model


def gray(*levels: int) -> np.ndarray:
    return np.stack([np.full((32, 32, 3), level, np.uint8) for level in levels])


def test_quality_of_known_pictures() -> None:
    assert psnr(gray(100, 100), gray(100, 110)).tolist() == pytest.approx([PSNR_LIMIT, 10 * np.log10(255**2 / 100)])
    assert ssim(gray(80), gray(80))[0] == pytest.approx(1)
    noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    assert ssim(noise, 255 - noise)[0] < 0
    assert colour_difference(gray(0, 90), gray(255, 90)).tolist() == pytest.approx([100, 0], abs=1e-3)


def test_a_classs_iou_adds_up_over_its_episodes() -> None:
    truth, answer = gray(0, 0, 255), gray(0, 0, 255)
    truth[0, :16], truth[1, :8] = 255, 255
    answer[0, :8], answer[1, :8] = 255, 255
    found = class_iou(answer, truth, np.asarray([3, 3, 7]))
    assert found == {3: pytest.approx(16 / 24), 7: 1.0}


def test_sites_are_told_by_group(tiny_store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    vector = Store(tiny_store).read("inpaint").vector
    groups = site_groups(vector)
    assert [(g.part, g.name, g.tokens) for g in groups] == [
        ("encoder", "class", 1),
        ("encoder", "query", 49),
        ("decoder", "class", 1),
        ("decoder", "query", 49),
        ("decoder", "answer", 49),
    ]
    assert sum(g.sites for g in groups) == vector.sites
    all_on = replace(vector, encoder_mask=torch.ones_like(vector.encoder_mask))
    assert "  layer  0  # #" in site_text(site_groups(all_on))
    other = replace(vector, encoder_mask=vector.encoder_mask[:, :40])
    assert site_groups(other)[0].name == "all tokens"
    page = tmp_path / "page.html"
    assert main(["tasks", "show", "inpaint", "--store", str(tiny_store), "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert "decoder, answer (49 tokens)" in text
    assert "iou 0.5" in page.read_text()
    assert "layer 1, head 1:" in page.read_text()
    assert main(["tasks", "show", "inpaint", "--store", str(tiny_store), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert np.asarray(shown["groups"][1]["share"]).shape == (2, 2)


def means(task: str, seed: int, spread: float) -> Means:
    """Means of ten prompts; head outputs vary by `spread` (their variance) in each of four channels."""
    draw = torch.Generator().manual_seed(seed)
    values = [torch.randn(2, 5, 3, 4, generator=draw), torch.randn(1, 6, 2, 4, generator=draw)]
    squares = [value.square().sum(-1) + 4 * spread * 0.9 for value in values]
    return Means(values[0], values[1], task, "m", 10, Collected(squares[0], squares[1], "best", "test", "d"))


def test_taskness_is_variance_between_over_within(tmp_path: Path) -> None:
    parts = [means("a", 0, 0.5), means("b", 1, 1.5)]
    found = taskness(parts)
    np.testing.assert_allclose(found["encoder"].within, 4 * np.ones((2, 3)), rtol=1e-4)
    stacked = torch.stack([part.decoder for part in parts])
    np.testing.assert_allclose(found["decoder"].between, stacked.var(0).sum(-1).mean(1).numpy(), rtol=1e-5)
    with pytest.raises(OfflineError, match="two different tasks"):
        taskness([parts[0], parts[0]])
    with pytest.raises(OfflineError, match="tell no spread"):
        taskness([parts[0], replace(parts[1], collected=None)])
    with pytest.raises(OfflineError, match="different models"):
        taskness([parts[0], replace(parts[1], model="n")])
    for part in parts:
        save_means(tmp_path / part.task, part)
    assert main(["taskness", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/taskness.json").read_text())
    assert np.asarray(report["decoder"]["taskness"]).shape == (1, 2)
    with Image.open(tmp_path / "out/taskness.png") as image:
        assert image.size[0] > 500


def test_shrunk_masks_stay_black_and_white() -> None:
    draw = np.random.default_rng(0)
    cells = [draw.integers(0, 2, (2, 200, 200, 3), dtype=np.uint8) * 255 for _ in range(4)]
    small = shrunk(Episodes(*cells), 111, sharp=True)
    assert set(np.unique(small.answer)) == {0, 255}
    assert len(np.unique(small.query)) > 2
    assert len(np.unique(shrunk(Episodes(*cells), 111, sharp=False).answer)) > 2


@pytest.mark.parametrize("task", ["segmentation", "colorization"])
def test_a_result_holds_every_floor_and_measure(tiny_model: tuple[Path, str], tiny_store: Path, task: str) -> None:
    model, mark = load_model(tiny_model[0])
    draw, masks = np.random.default_rng(0), np.zeros((6, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    labels = np.asarray([1, 1, 1, 2, 2, 2])
    scenes = Scenes(draw.integers(0, 256, (6, 111, 111, 3), dtype=np.uint8), masks, labels=labels)
    episodes = make_episodes(scenes, TASKS[task], 6, 0)
    vector = Store(tiny_store).read(task, mark).vector
    colour = np.asarray([255, 255, 255], np.uint8)
    result = evaluate_task(model, TASKS[task], episodes, {VECTOR: vector}, vector.answer, colour)
    ways = {ONE_SHOT, BARE, VECTOR, TOKENIZER, COPY, CONSTANT}
    assert set(result.chosen) == set(result.published) == ways
    assert set(result.gains) == {ONE_SHOT, BARE}
    titles = [section.title for section in sections([result])]
    if task == "segmentation":
        assert result.chosen[CONSTANT].mean == pytest.approx(50 * 50 / 111**2)
        assert set(result.classes[VECTOR]) == {1, 2}
        assert titles[-1] == "segmentation: IoU by class, chosen settings"
    else:
        assert set(result.quality) == ways
        assert result.quality[COPY]["SSIM ↑"].mean > result.quality[CONSTANT]["SSIM ↑"].mean
        assert titles[-1] == "colorization: other measures, chosen settings"


@pytest.mark.slow
def test_evaluate_writes_a_report_at_full_size(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--dataset", "demo", "--task", "inpaint", "--model", str(tiny_model[0]), "--store"]
    words += [str(tiny_store), "--episodes", "4", "--full-size", "160", "--report", str(tmp_path), "--json"]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["full"]["side"] == 160
    assert set(result["full"]["chosen"]) == {ONE_SHOT, BARE, VECTOR, COPY}
    assert {path.name for path in tmp_path.iterdir()} == {"results.md", "results.html", "results.json", "inpaint.png"}
    page = (tmp_path / "results.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert "at full size, 160 px" in page
    assert "PSNR" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_masks_have_their_borders_scored_at_full_size(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--dataset", "demo", "--task", "segmentation", "--model", str(tiny_model[0]), "--store"]
    words += [str(tiny_store), "--episodes", "3", "--full-size", "160", "--report", str(tmp_path), "--json"]
    assert main(words) == 0
    borders = json.loads(capsys.readouterr().out)["results"][0]["full"]["borders"]
    assert set(borders) == {ONE_SHOT, BARE, VECTOR, COPY}
    assert "boundary F" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_a_composition_is_scored_beside_its_parts(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    direct = Store(tiny_store).path_of(Store(tiny_store).hash_of("identity"))
    words = ["compose", "lowlight_enhance", "inpaint", "--store", str(tiny_store), "-o", str(tmp_path / "both")]
    words += ["--evaluate", "lowlight_inpaint", "--direct", str(direct), "--model", str(tiny_model[0])]
    assert main([*words, "--episodes", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = {ONE_SHOT, BARE, COPY, "lowlight_enhance+inpaint", "lowlight_enhance", "inpaint", "searched directly"}
    assert set(result["own"]) == set(result["published"]) == rows


def test_every_fold_is_a_column(
    tiny_model: tuple[Path, str], tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("JPEGImages", "SegmentationClassAug"):
        (tmp_path / folder).mkdir()
    for index in range(40):
        labels = np.zeros((48, 48), np.uint8)
        for place, number in enumerate((1, 6, 11, 16)):
            labels[8:40, 12 * place : 12 * place + 10] = number
        Image.fromarray(labels).save(tmp_path / f"SegmentationClassAug/p{index:02d}.png")
        Image.fromarray(np.full((48, 48, 3), 6 * index, np.uint8)).save(tmp_path / f"JPEGImages/p{index:02d}.jpg")
    words = ["evaluate", "--dataset", str(tmp_path), "--task", "segmentation", "--all-folds", "--episodes", "2"]
    assert main([*words, "--model", str(tiny_model[0]), "--store", str(tiny_store), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["task"] for result in results] == [f"segmentation, fold {fold}" for fold in range(4)]
    assert [list(result["classes"][VECTOR]) for result in results] == [["1"], ["6"], ["11"], ["16"]]
