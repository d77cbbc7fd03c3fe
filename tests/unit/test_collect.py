"""Means that know what they were made from, resumed collection, and the report of taskness."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts import job as job_module
from artifacts.build import means_of
from artifacts.collect import heads as module
from artifacts.collect.heads import Selection, collect
from artifacts.collect.means import Means, load_means, save_means
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import OfflineError
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import answers, episode_logits
from artifacts.job import Job
from artifacts.resume import Checkpoint
from artifacts.search.settings import SearchSettings
from artifacts.tasks import TASKS
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings
from tests.support import TINY

TASK = TASKS["segmentation"]


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(0)
    return MaeVqgan(TINY).eval().requires_grad_(False)


def scenes(seed: int = 0) -> Scenes:
    masks = np.zeros((8, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    return Scenes(np.random.default_rng(seed).integers(0, 256, (8, 111, 111, 3), dtype=np.uint8), masks)


def collected(model: MaeVqgan, episodes: Episodes, how: str = "best") -> Means:
    return collect(model, "f", TASK, episodes, Selection(4, how), "test", lambda _: None)


def test_an_interrupted_collection_goes_on(model: MaeVqgan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 1)
    episodes, path = make_episodes(scenes(), TASK, 30, 0), tmp_path / "checkpoint"

    def stop(line: str) -> None:
        assert "step 20/34" in line
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(model, "f", TASK, episodes, Selection(4), "test", stop, path)
    seen: list[str] = []
    resumed = collect(model, "f", TASK, episodes, Selection(4), "test", seen.append, path)
    assert not any("step 20/34" in line for line in seen)
    whole = collected(model, episodes)
    assert torch.equal(resumed.encoder, whole.encoder)
    assert torch.equal(resumed.decoder, whole.decoder)
    assert resumed.collected is not None
    assert whole.collected is not None
    assert torch.equal(resumed.collected.decoder_square, whole.collected.decoder_square)


@pytest.mark.parametrize("name", ["segmentation", "colorization"])
def test_the_best_prompts_are_averaged(model: MaeVqgan, name: str) -> None:
    """Higher is better for one task's metric, lower for the other's."""
    task = TASKS[name]
    episodes = make_episodes(scenes(), task, 6, 0)
    logits = episode_logits(model, episodes, None, one_shot=True)
    painted = answers(model, logits, episodes.query, AnswerSettings(module.SELECTION_TEMPERATURE))
    scores = METRICS[task.metric].score(painted, episodes.answer)
    best = np.sort(np.argsort(scores)[-2:] if task.metric == "iou" else np.argsort(scores)[:2])
    assert len(set(scores)) == 6

    def means(part: Episodes, selection: Selection) -> Means:
        return collect(model, "f", task, part, selection, "test", lambda _: None)

    chosen = means(episodes, Selection(2))
    wanted = means(episodes.part(best), Selection(2, "random"))
    torch.testing.assert_close(chosen.encoder, wanted.encoder)
    torch.testing.assert_close(chosen.decoder, wanted.decoder)


def test_a_means_file_says_what_it_was_made_from(model: MaeVqgan, tmp_path: Path) -> None:
    means = collected(model, make_episodes(scenes(), TASK, 6, 0), "random")
    save_means(tmp_path / "means", means)
    held, how = load_means(tmp_path / "means", "f")
    assert torch.equal(held.encoder, means.encoder)
    assert (how.selection, how.source, held.prompts) == ("random", "test", 4)
    with pytest.raises(OfflineError, match="another model"):
        load_means(tmp_path / "means", "g")
    with pytest.raises(OfflineError, match="not collected here"):
        save_means(tmp_path / "means", replace(means, collected=None))
    (tmp_path / "means").write_bytes(b"no")
    with pytest.raises(OfflineError, match="cannot be read"):
        load_means(tmp_path / "means")


def test_a_build_collects_again_for_other_data(
    model: MaeVqgan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "CANDIDATE_PROMPTS", 6)
    lines: list[str] = []

    def job(data: Scenes, name: str, seed: int) -> Job:
        parts = dict.fromkeys(("search", "validation", "test"), data)
        return Job(model, "f", parts, name, tmp_path, SearchSettings(seed=seed), lines.append)

    first = means_of(job(scenes(), "demo", 0), TASK)
    assert torch.equal(means_of(job(scenes(), "demo", 0), TASK).encoder, first.encoder)
    assert not any("collected again" in line for line in lines)
    for other in (job(scenes(1), "demo, fold 1", 0), job(scenes(1), "demo, fold 1", 5)):
        lines.clear()
        second = means_of(other, TASK)
        assert any("collected again" in line for line in lines)
        assert not torch.equal(second.encoder, first.encoder)
        first = second
    path = tmp_path / "segmentation.means.safetensors"
    path.write_bytes(b"half written by an older version")
    assert torch.equal(means_of(job(scenes(1), "demo, fold 1", 5), TASK).encoder, first.encoder)
    assert load_means(path)[0].task == "segmentation"


def test_squares_give_the_spread(model: MaeVqgan) -> None:
    episodes = make_episodes(scenes(), TASK, 4, 0)
    whole = collected(model, episodes)
    alone = torch.stack([collected(model, episodes.part(slice(i, i + 1))).encoder for i in range(4)])
    assert whole.collected is not None
    torch.testing.assert_close(whole.collected.encoder_square, alone.square().sum(-1).mean(0), rtol=1e-5, atol=1e-6)


def test_a_checkpoint_is_of_one_work(tmp_path: Path) -> None:
    path = tmp_path / "c"
    Checkpoint(path, "a").save({"x": torch.ones(2)})
    held = Checkpoint(path, "a").load()
    assert held is not None
    assert torch.equal(held["x"], torch.ones(2))
    assert Checkpoint(path, "b").load() is None
    path.write_bytes(path.read_bytes()[:50])
    assert Checkpoint(path, "a").load() is None
    assert list(tmp_path.iterdir()) == [path]
    assert Checkpoint(None, "a").load() is None
