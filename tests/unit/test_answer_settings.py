"""Answer settings: the best of those that are tried, for metrics of either direction."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from artifacts.data.episodes import make_episodes
from artifacts.data.scenes import Scenes
from artifacts.evaluation.answer_settings import (
    BEST_TEMPERATURES,
    TEMPERATURES,
    THRESHOLDS,
    choose_settings,
    refinements,
)
from artifacts.evaluation.metrics import METRICS
from artifacts.forward import answers, episode_logits
from artifacts.tasks import TASKS
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings
from tests.support import TINY, random_vector


@pytest.mark.parametrize("name", [pytest.param("segmentation", marks=pytest.mark.slow), "lowlight_enhance"])
def test_the_settings_that_score_best_are_chosen(name: str) -> None:
    torch.manual_seed(0)
    model = MaeVqgan(TINY).eval().requires_grad_(False)
    task = replace(TASKS[name], refinements=("guided", *TASKS[name].refinements))
    draw = np.random.default_rng(0)
    masks = np.zeros((4, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    scenes = Scenes(draw.integers(0, 256, (4, 111, 111, 3), dtype=np.uint8), masks)
    vector, episodes = random_vector(model, "f", 0), make_episodes(scenes, task, 3, 0)
    logits = episode_logits(model, episodes, vector, one_shot=False)
    best, thresholds = (max, THRESHOLDS) if task.metric == "iou" else (min, (None,))

    def score(settings: AnswerSettings) -> float:
        painted = answers(model, logits, episodes.query, settings)
        return float(METRICS[task.metric].score(painted, episodes.answer).mean())

    def scores(settings: AnswerSettings) -> list[float]:
        return [score(replace(settings, threshold=threshold)) for threshold in thresholds]

    plain = {temperature: best(scores(AnswerSettings(temperature))) for temperature in TEMPERATURES}
    ranked = sorted(TEMPERATURES, key=plain.__getitem__, reverse=best is max)
    tried = [settings for temperature in ranked[:BEST_TEMPERATURES] for settings in refinements(task, temperature)]
    wanted = best([*plain.values(), *(value for settings in tried for value in scores(settings))])
    assert wanted != best(plain.values()), "no refinement is better"
    lines: list[str] = []
    chosen = choose_settings(model, task, vector, episodes, lines.append)
    assert score(chosen.answer) == wanted
    assert f"scores {wanted:.4f} on 3 validation episodes" in lines[0]
