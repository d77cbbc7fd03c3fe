"""Calibrates confidences on validation episodes, and says how well they tell bad answers from good ones."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata, spearmanr

from artifacts.data.episodes import Episodes
from artifacts.evaluation.metrics import METRICS, Metric, Scores
from artifacts.forward import decoded, device_of, episode_logits, refined
from artifacts.tasks.task import Task
from engine.confidence import STATISTICS, Confidence
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.task_vector import TaskVector

FEWEST: Final = 16
"""Episodes from which on a map is fitted."""
FEWEST_OF_A_KIND: Final = 8
"""Bad and good answers each from which on an area under the curve tells statistics apart."""
KNOTS: Final = 8


def quality(metric: Metric, scores: Scores) -> Scores:
    """What a confidence stands for, 0 to 1: the expected IoU, or 1 less the expected error."""
    found: Scores = np.clip(scores if metric.higher_is_better else 1 - scores, 0, 1)
    return found


def with_confidence(model: MaeVqgan, task: Task, vector: TaskVector, episodes: Episodes) -> TaskVector:
    """The vector with a confidence calibrated on episodes, in answers by the settings that it has."""
    cells, scores = scored_answers(model, task, vector, episodes)
    return replace(vector, answer=replace(vector.answer, confidence=calibrated(cells, METRICS[task.metric], scores)))


def scored_answers(model: MaeVqgan, task: Task, vector: TaskVector, episodes: Episodes) -> tuple[Pixels, Scores]:
    """The engine's answers uint8 [B,cell,cell,3], and the scores [B] of what is made of them."""
    logits, settings = episode_logits(model, episodes, vector, one_shot=False), vector.answer
    cells = decoded(model, logits, settings.temperature)
    made = refined(cells, episodes.query, settings, device_of(model))
    return cells, METRICS[task.metric].score(made, episodes.answer)


def calibrated(answers: Pixels, metric: Metric, scores: Scores) -> Confidence | None:
    """The statistic of answers uint8 [B,cell,cell,3] that tells good from bad best by their scores [B], and its map.

    Where too few are good or bad it is the one whose ranks go best with the scores'. The map is isotonic regression
    over means of equally many episodes. None with too few episodes, or where no statistic differs between them.
    """
    good = quality(metric, scores)
    found = {name: np.array([measure(answer) for answer in answers]) for name, measure in STATISTICS.items()}
    found = {name: values for name, values in found.items() if np.ptp(values) > 0}
    if len(answers) < FEWEST or not found:
        return None
    told = {name: _tells(values, metric, good) for name, values in found.items()}
    best = max(told, key=lambda name: abs(told[name]))
    order = np.argsort(found[best], kind="stable")
    parts = np.array_split(order, min(KNOTS, len(order) // 2))
    places = np.array([found[best][part].mean() for part in parts])
    levels = isotonic_regression([good[part].mean() for part in parts], increasing=bool(told[best] >= 0)).x
    kept = np.append(True, np.diff(places) > 1e-6)
    rounded = zip(places[kept].round(6).tolist(), levels[kept].round(4).tolist(), strict=True)
    return Confidence(best, tuple(rounded))


def judged(trust: Confidence, answers: Pixels, metric: Metric, scores: Scores) -> str:
    """In a line, how well the confidences in answers uint8 [B,cell,cell,3] tell `fine_and_bad` ones apart."""
    good = quality(metric, scores)
    confidences = np.array([trust.of(answer) for answer in answers])
    fine, bad = fine_and_bad(metric, good)
    area = area_under_curve(confidences, fine, bad)
    return (
        f"confidence, from its {trust.statistic}: mean {confidences.mean():.3f} where the answers are worth "
        f"{good.mean():.3f}; area under the curve {area:.3f}, {int(bad.sum())} bad against {int(fine.sum())} good"
    )


def fine_and_bad(metric: Metric, good: Scores) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks above .6 IoU and those below .3; of other tasks the better half and the worst quarter: [B] each."""
    low, high = (0.3, 0.6) if metric.higher_is_better else np.quantile(good, (0.25, 0.5))
    return good > high, good < low


def area_under_curve(confidences: NDArray[np.float64], good: NDArray[np.bool_], bad: NDArray[np.bool_]) -> float:
    """How often a good answer has more confidence than a bad one (ties count half): ROC's area. NaN without both."""
    ranks = rankdata(np.concatenate([confidences[good], confidences[bad]]))
    count, others = int(good.sum()), int(bad.sum())
    if not count or not others:
        return float("nan")
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * others))


def _tells(values: NDArray[np.float64], metric: Metric, good: Scores) -> float:
    """How well values tell fine answers from bad ones: -1 to 1, negative where they are less for fine ones."""
    fine, bad = fine_and_bad(metric, good)
    if min(fine.sum(), bad.sum()) >= FEWEST_OF_A_KIND:
        return 2 * area_under_curve(values, fine, bad) - 1
    return float(spearmanr(values, good).statistic) if np.ptp(good) > 0 else 0.0
