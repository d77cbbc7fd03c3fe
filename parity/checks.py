"""Checks, and the one table of tolerances.

The reference numbers are float32. Between two sets of convolution kernels they move by at most 2.8e-5
(logits), 5.9e-5 (block outputs), 5.7e-5 (gradients) and 2e-7 (sums, relative to the absolute sum); wrong
injections move logits by 0.27 and more. Tolerances stand a little above the former and far below the latter.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Arrays = dict[str, NDArray[Any]]

TOLERANCES = {
    "equal": 0.0,  # values that must not differ at all
    "logits": 2e-4,
    "codes": 0.0,  # predicted codes that differ where the reference's margin exceeds the tolerance of logits
    "margin": 4e-4,  # of two logits
    "latent": 2e-4,
    "blocks": 2e-4,
    "heads": 1e-4,  # W_h x_h + b of one head
    "sums": 3e-6,  # relative to the sum of absolute values
    "head_sums": 1e-5,  # the same for a single head
    "nll": 1e-5,
    "picture": 1e-3,  # share of an image's values off by one count; more than one count is never right
    "mse": 1e-5,  # relative
    "iou": 2e-4,  # a pixel or two of the 12,321
    "stored": 1e-6,  # metrics of the reference's own images
    "surrogate": 1e-6,
    "surrogate_gradient": 1e-8,
    "adam": 1e-4,
    "latents_vqgan": 5e-5,
    "indices": 0.0,  # VQGAN codes that differ where the reference's margin exceeds that of distances
    "distances": 2e-3,  # squared, of about 100
    "decoded": 5e-5,  # pixels in 0..1
    "loss": 1e-5,
    "gradients": 2e-4,
    "gradient_squares": 5e-5,  # relative; other kernels (AVX2 for AVX-512) move it by 1e-5
    # Task residuals: between versions of PyTorch logits move by 4e-5, the bulk of a residual by 2e-6 and its largest
    # deviation by 3e-5; decay left out or decoupled moves the bulk by 1.3e-5 and more.
    "class_base": 5e-6,
    "class_base_half": 4e-3,  # one step of float16
    "residual_logits": 5e-4,  # of cosines times 100
    "residual_gradient": 5e-6,
    "learning_rate": 1e-9,  # relative
    "residual": 5e-4,
    "residual_bulk": 5e-6,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the worst error found and the kind whose tolerance it must keep."""

    what: str
    kind: str
    error: float

    @property
    def tolerance(self) -> float:
        """The largest error allowed."""
        return TOLERANCES[self.kind]

    @property
    def ok(self) -> bool:
        """Within tolerance."""
        return self.error <= self.tolerance

    @property
    def strain(self) -> float:
        """How much of the tolerance is used up: the order in which checks are bad."""
        if self.tolerance == 0:
            return 0.0 if self.ok else float("inf")
        return self.error / self.tolerance


@dataclass(slots=True)
class Checks:
    """What a case compared; one entry per thing, holding its worst error."""

    entries: dict[tuple[str, str], float] = field(default_factory=dict)

    def add(self, what: str, kind: str, error: float) -> None:
        """Keep the worse of the errors seen for `what`; NaN counts as infinite."""
        known = self.entries.get((what, kind), 0.0)
        self.entries[what, kind] = float("inf") if np.isnan(error) else max(known, float(error))

    def close(self, what: str, kind: str, ours: ArrayLike, reference: ArrayLike) -> None:
        """Largest absolute difference; infinite when the shapes differ."""
        self.add(what, kind, difference(ours, reference))

    def relative(self, what: str, kind: str, ours: float, reference: float) -> None:
        """Difference relative to the reference; NaN equals NaN."""
        if np.isnan(ours) and np.isnan(reference):
            self.add(what, kind, 0.0)
        else:
            self.add(what, kind, abs(ours - reference) / max(abs(reference), 1e-30))

    def sums(self, what: str, ours: ArrayLike, reference: NDArray[Any], kind: str = "sums") -> None:
        """`reference` [..., 2] holds sum and absolute sum of `ours` over all but the leading axes."""
        lead = reference.shape[:-1]
        flat = np.asarray(ours, np.float64).reshape(*lead, -1)
        totals = np.stack([flat.sum(-1), np.abs(flat).sum(-1)], -1)
        self.add(what, kind, float((np.abs(totals - reference) / reference[..., 1:]).max()))

    def picture(self, what: str, ours: NDArray[np.uint8], reference: NDArray[np.uint8]) -> None:
        """Images may differ by one count of 255 in a small share of their values, by more nowhere."""
        gap = np.abs(ours.astype(np.int64) - reference)
        self.add(what, "picture", float((gap > 0).mean()) if gap.max() <= 1 else float(gap.max()))

    @property
    def all(self) -> list[Check]:
        """Every check, the most strained first."""
        checks = [Check(what, kind, error) for (what, kind), error in self.entries.items()]
        return sorted(checks, key=lambda check: -check.strain)


def difference(ours: ArrayLike, reference: ArrayLike) -> float:
    """Largest absolute difference of two arrays of one shape, in float64."""
    first, second = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    if first.shape != second.shape:
        return float("inf")
    return float(np.abs(first - second).max()) if first.size else 0.0
