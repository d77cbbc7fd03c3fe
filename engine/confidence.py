"""How far an answer can be trusted, told from the answer alone.

Where the model does not know which code to take, the expected code is a mean of several, and its picture is gray and
smooth. A statistic of the answer, mapped by what was seen on validation pictures, is the confidence.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from engine.errors import EngineError
from engine.geometry import WHITE, Pixels

MOST_KNOTS: Final = 32


def contrast(answer: Pixels) -> float:
    """Mean distance of an answer's brightness from middle gray, 0 to 1: a mask that is sure is black and white."""
    gray = answer.sum(-1, dtype=np.uint16).astype(np.float32)
    return float(np.abs(gray * (2 / (3 * WHITE)) - 1).mean())


def detail(answer: Pixels) -> float:
    """Mean difference of neighbouring pixels' brightness, of both directions added, 0 to 2."""
    gray = answer.sum(-1, dtype=np.uint16).astype(np.float32)
    steps = np.abs(np.diff(gray, axis=0)).mean() + np.abs(np.diff(gray, axis=1)).mean()
    return float(steps / (3 * WHITE))


def overlap(answer: Pixels) -> float:
    """Expected overlap of a mask with itself, 0 to 1: the sum of p^2 over that of p, p the brightness of a pixel.

    With p for the probability that a pixel is white, it is the part of the white that is white in a second draw too.
    Unlike contrast it does not rise with black surroundings.
    """
    gray = answer.sum(-1, dtype=np.uint16).astype(np.float32) / (3 * WHITE)
    white = float(gray.sum())
    return float((gray * gray).sum()) / white if white else 0.0


STATISTICS: Final[dict[str, Callable[[Pixels], float]]] = {"contrast": contrast, "detail": detail, "overlap": overlap}


class Confidence(NamedTuple):
    """A statistic and a monotone map from it to 0..1, linear between `knots` (statistic, confidence)."""

    statistic: str
    knots: tuple[tuple[float, float], ...]

    def check(self) -> None:
        """Raises EngineError for a statistic that is not known, and for knots that are no monotone map to 0..1."""
        if self.statistic not in STATISTICS:
            raise EngineError(f"confidence: statistic {self.statistic!r} is none of {', '.join(STATISTICS)}")
        if not 1 <= len(self.knots) <= MOST_KNOTS or not all(len(knot) == 2 for knot in self.knots):
            raise EngineError(f"confidence: knots are 1 to {MOST_KNOTS} pairs")
        places, levels = np.array(self.knots, np.float64).T
        if not (np.isfinite(places).all() and (np.diff(places) > 0).all()):
            raise EngineError("confidence: the knots' places are not rising")
        steps = np.diff(levels)
        if not ((levels >= 0).all() and (levels <= 1).all() and ((steps >= 0).all() or (steps <= 0).all())):
            raise EngineError("confidence: the knots' levels are not monotone within 0..1")

    def of(self, answer: Pixels) -> float:
        """The confidence in an answer uint8 [cell,cell,3] as the engine gives it: before it is refined or cut."""
        places, levels = zip(*self.knots, strict=True)
        return round(float(np.interp(STATISTICS[self.statistic](answer), places, levels)), 3)


def read_confidence(statistic: Any, knots: Any) -> Confidence:
    """From JSON. Raises EngineError, TypeError or ValueError for what is none."""
    confidence = Confidence(str(statistic), tuple((float(place), float(level)) for place, level in knots))
    confidence.check()
    return confidence
