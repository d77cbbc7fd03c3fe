"""Answer settings for masks, colours and holes: what is tried, and what comes first."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.evaluation.answer_settings import (
    DETAIL,
    LEAST_CHROMA,
    LUMA_GUIDED,
    THRESHOLDS,
    choose_settings,
)
from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.quality import chroma_share
from artifacts.forward import answers, episode_logits
from artifacts.tasks import TASKS
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings
from tests.support import TINY, random_vector


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(0)
    return MaeVqgan(TINY).eval().requires_grad_(False)


def episodes_of(name: str) -> Episodes:
    draw = np.random.default_rng(0)
    masks = np.zeros((4, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    scenes = Scenes(draw.integers(60, 256, (4, 111, 111, 3), dtype=np.uint8), masks)
    return make_episodes(scenes, TASKS[name], 3, 0)


def chosen(model: MaeVqgan, name: str, episodes: Episodes) -> AnswerSettings:
    return choose_settings(model, TASKS[name], random_vector(model, "f", 0), episodes, lambda _: None).answer


def score(model: MaeVqgan, name: str, episodes: Episodes, settings: AnswerSettings) -> float:
    logits = episode_logits(model, episodes, random_vector(model, "f", 0), one_shot=False)
    metric = METRICS[TASKS[name].metric]
    painted = answers(model, logits, episodes.query, settings)
    return float(metric.as_loss(metric.score(painted, episodes.answer).mean()))


def test_masks_are_cut_where_they_score_best(model: MaeVqgan) -> None:
    episodes = episodes_of("segmentation")
    best = chosen(model, "segmentation", episodes)
    others = [replace(best, threshold=threshold) for threshold in THRESHOLDS]
    losses = [score(model, "segmentation", episodes, settings) for settings in others]
    assert best in others
    assert score(model, "segmentation", episodes, best) == min(losses) < max(losses)


def test_holes_get_as_much_structure_as_scores_best(model: MaeVqgan) -> None:
    episodes = episodes_of("inpaint")
    best = chosen(model, "inpaint", episodes)
    losses = {detail: score(model, "inpaint", episodes, replace(best, detail=detail)) for detail in DETAIL}
    assert best.refine == "hole"
    assert best.threshold is None
    assert losses[best.detail] == min(losses.values())


def test_pale_colours_come_last(model: MaeVqgan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifacts.evaluation.answer_settings.CHROMA", (0.05, 1.0))
    episodes = episodes_of("colorization")
    best = chosen(model, "colorization", episodes)
    pale = AnswerSettings(best.temperature, "luma", *LUMA_GUIDED[0], chroma=0.05)
    logits = episode_logits(model, episodes, random_vector(model, "f", 0), one_shot=False)
    shares = [chroma_share(answers(model, logits, episodes.query, how), episodes.answer) for how in (best, pale)]
    assert shares[0] >= LEAST_CHROMA > shares[1]
    assert score(model, "colorization", episodes, pale) < score(model, "colorization", episodes, best)
