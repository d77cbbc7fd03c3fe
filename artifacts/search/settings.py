"""What a search is told: method, granularity, sizes, and the published preset."""

from dataclasses import dataclass
from typing import Any

from artifacts.errors import OfflineError

METHODS = ("reinforce", "gates", "causal", "all", "random")
PARTS = ("encoder", "decoder")
SAMPLED = ("reinforce", "gates")
"""Methods that take steps of samples."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """`samples` masks on `images` queries a step.

    Each mask answers every query, or, `paired` as published, sample i answers query i mod `images` alone. `gates`
    takes `samples` queries a step with one mask each. `objective`: the task's metric on `pixel`s, or `token`
    cross-entropy, which decodes nothing. `restrict`: only the encoder's or the decoder's sites may be written.
    `regularisation` times the mean probability of a variable is added to the loss. Every `evaluate_every` steps
    (0: at the end alone) masks are scored on the validation episodes and the best is kept. `tune_values`: gates
    move the values too, at `value_rate`. `prune`: how much of its validation loss a mask may lose to be
    smaller, as a share; None leaves it.
    """

    granularity: str = "group"
    steps: int = 60
    samples: int = 16
    images: int = 4
    rate: float = 0.15
    initial_logit: float = -1.0
    seed: int = 0
    method: str = "reinforce"
    objective: str = "pixel"
    prune: float | None = None
    paired: bool = False
    restrict: str | None = None
    regularisation: float = 0.0
    evaluate_every: int = 0
    tune_values: bool = False
    value_rate: float = 0.02


DEFAULTS: dict[str, dict[str, Any]] = {
    "reinforce": {},
    "gates": {"steps": 100, "samples": 16, "images": 1, "rate": 0.2, "initial_logit": -0.5},
    "causal": {"images": 10},
    "all": {},
    "random": {},
}
"""What a method runs with unless told otherwise, beside `SearchSettings`' own defaults."""
PUBLISHED: dict[str, Any] = {
    "steps": 500,
    "samples": 320,
    "images": 10,
    "rate": 0.1,
    "paired": True,
    "evaluate_every": 50,
}
"""The paper's REINFORCE: 160,000 model evaluations."""


def method_settings(method: str, *, published: bool = False, **chosen: Any) -> SearchSettings:
    """A method's settings; what is None among `chosen` stays at its default. Raises OfflineError."""
    if published and method != "reinforce":
        raise OfflineError("--published goes with --method reinforce")
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = SearchSettings(method=method, **DEFAULTS[method] | (PUBLISHED if published else {}) | given)
    _check(settings)
    return settings


def _check(settings: SearchSettings) -> None:
    if settings.objective == "token" and settings.method not in SAMPLED:
        raise OfflineError("--objective token goes with --method reinforce or gates")
    if settings.tune_values and settings.method != "gates":
        raise OfflineError("--tune-values goes with --method gates")
    if settings.prune is not None and not 0 <= settings.prune < 1:
        raise OfflineError(f"--prune takes a share of the loss from 0 to below 1, not {settings.prune}")
    if settings.restrict is not None and settings.restrict not in PARTS:
        raise OfflineError(f"--restrict takes {' or '.join(PARTS)}, not {settings.restrict}")
    least = {"steps": 0, "samples": 2, "images": 1, "evaluate_every": 0}
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise OfflineError(f"--{name.replace('_', '-')} must be {low} or more, not {getattr(settings, name)}")
