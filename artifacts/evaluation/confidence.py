"""Calibrates confidences on validation episodes, and says how well they tell bad answers from good ones."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata, spearmanr

from artifacts.evaluation.metrics import Metric, Scores
from engine.confidence import STATISTICS, Confidence
from engine.geometry import Pixels

FEWEST: Final = 16
"""Episodes from which on a map is fitted."""
KNOTS: Final = 8


def quality(metric: Metric, scores: Scores) -> Scores:
    """What a confidence stands for, 0 to 1: the expected IoU, or 1 less the expected error."""
    found: Scores = np.clip(scores if metric.higher_is_better else 1 - scores, 0, 1)
    return found


def calibrated(answers: Pixels, metric: Metric, scores: Scores) -> Confidence | None:
    """The statistic of answers uint8 [B,cell,cell,3] that goes best with their scores [B], and its map.

    The map is isotonic regression over means of equally many episodes. None with too few episodes, or where no
    statistic differs between them.
    """
    good = quality(metric, scores)
    found = {name: np.array([measure(answer) for answer in answers]) for name, measure in STATISTICS.items()}
    found = {name: values for name, values in found.items() if np.ptp(values) > 0}
    if len(answers) < FEWEST or not found:
        return None
    ranks = {name: _rank_correlation(values, good) for name, values in found.items()}
    best = max(ranks, key=lambda name: abs(ranks[name]))
    order = np.argsort(found[best], kind="stable")
    parts = np.array_split(order, min(KNOTS, len(order) // 2))
    places = np.array([found[best][part].mean() for part in parts])
    levels = isotonic_regression([good[part].mean() for part in parts], increasing=bool(ranks[best] >= 0)).x
    kept = np.append(True, np.diff(places) > 1e-6)
    rounded = zip(places[kept].round(6).tolist(), levels[kept].round(4).tolist(), strict=True)
    return Confidence(best, tuple(rounded))


def judged(trust: Confidence, answers: Pixels, metric: Metric, scores: Scores) -> str:
    """In a line, how well the confidences in answers uint8 [B,cell,cell,3] tell bad ones from good ones.

    Masks below .3 IoU against those above .6; of other tasks the worst quarter against the better half.
    """
    good = quality(metric, scores)
    low, high = (0.3, 0.6) if metric.higher_is_better else np.quantile(good, (0.25, 0.5))
    confidences = np.array([trust.of(answer) for answer in answers])
    bad, fine = good < low, good > high
    area = area_under_curve(confidences, fine, bad)
    return (
        f"confidence, from its {trust.statistic}: mean {confidences.mean():.3f} where the answers are worth "
        f"{good.mean():.3f}; area under the curve {area:.3f}, {int(bad.sum())} bad against {int(fine.sum())} good"
    )


def area_under_curve(confidences: NDArray[np.float64], good: NDArray[np.bool_], bad: NDArray[np.bool_]) -> float:
    """How often a good answer has more confidence than a bad one (ties count half): ROC's area. NaN without both."""
    ranks = rankdata(np.concatenate([confidences[good], confidences[bad]]))
    count, others = int(good.sum()), int(bad.sum())
    if not count or not others:
        return float("nan")
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * others))


def _rank_correlation(values: NDArray[np.float64], good: Scores) -> float:
    return float(spearmanr(values, good).statistic) if np.ptp(good) > 0 else 0.0
