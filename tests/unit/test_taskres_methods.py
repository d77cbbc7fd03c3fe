"""Few-shot methods over made-up features: each does what its formula says, and the comparison counts rightly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from artifacts.console import keep_quiet
from artifacts.errors import TrainingError
from artifacts.store.residual import TaskResidual
from artifacts.taskres.comparison import compare
from artifacts.taskres.labelled_features import FewShots, LabelledFeatures
from artifacts.taskres.learner import Settings
from artifacts.taskres.methods.all import METHODS, OURS
from artifacts.taskres.methods.classifier import correct
from artifacts.taskres.methods.linear_probe import linear_probe
from artifacts.taskres.methods.residual import (
    ALPHAS,
    learn_residual,
    learn_with_chosen_alpha,
    random_base,
    residual_classifier,
    zero_shot,
)
from artifacts.taskres.methods.tip_adapter import Cache, tip_adapter, tip_adapter_f
from artifacts.taskres.report import as_json, markdown

K, D, SCALE = 4, 24, 20.0
GENERATOR = torch.Generator().manual_seed(3)
CENTRES = torch.randn(K, D, generator=GENERATOR)
BASE = CENTRES + 1.2 * torch.randn(K, D, generator=GENERATOR)
"""Class names that are right in part."""


def sample(each: int, seed: int, spread: float = 1.5) -> LabelledFeatures:
    labels = torch.arange(K).repeat_interleave(each)
    noise = torch.randn(len(labels), D, generator=torch.Generator().manual_seed(seed))
    return LabelledFeatures(CENTRES[labels] + spread * noise, labels)


def shots(each: int = 8, views: int = 1) -> FewShots:
    return FewShots(tuple(sample(each, seed) for seed in range(views)), sample(4, 100))


TEST = sample(50, 200)


def share(classifier: object) -> float:
    return float(correct(classifier, TEST).double().mean())  # type: ignore[arg-type]


def test_every_method_beats_chance_and_learning_beats_the_base() -> None:
    settings = Settings(alpha=2.0, epochs=100, learning_rate=0.05)
    found = {name: share(method(shots(), BASE, SCALE, settings)) for name, method in METHODS.items()}
    assert min(found.values()) > 0.45
    assert found[OURS] > found["zero-shot"] + 0.03
    assert found["Tip-Adapter-F"] > found["zero-shot"] + 0.03
    assert found[OURS] > found["residual on a random base"]


def test_zero_shot_is_the_nearest_class_vector() -> None:
    wanted = (normalize(TEST.features) @ normalize(BASE).T).argmax(1)
    assert torch.equal(zero_shot(BASE, SCALE)(TEST.features).argmax(1), wanted)


def test_views_take_turns() -> None:
    """Two views of which the second is worthless: the residual learns from both, so it does worse than from one."""
    one = shots(8)
    noise = LabelledFeatures(torch.randn(one.train.features.shape, generator=GENERATOR), one.labels)
    both = FewShots((one.passes[0], noise), one.validation)
    learned = [learn_residual(drawn, BASE, SCALE, Settings(epochs=100)) for drawn in (one, both)]
    assert not torch.equal(learned[0].residual, learned[1].residual)
    losses = [step.loss for step in learned[1].steps]
    assert np.mean(losses[40::2]) < np.mean(losses[41::2])


def test_alpha_is_the_one_of_least_loss_on_validation_pictures() -> None:
    drawn, settings = shots(), Settings(epochs=60)
    chosen = learn_with_chosen_alpha(drawn, BASE, SCALE, settings)

    def loss(alpha: float) -> float:
        own = learn_residual(drawn, BASE, SCALE, Settings(epochs=60, alpha=alpha))
        logits = residual_classifier(own, BASE, SCALE)(drawn.validation.features)
        return float(cross_entropy(logits, drawn.validation.labels))

    assert chosen.alpha == min(ALPHAS, key=loss)
    nothing = LabelledFeatures(torch.empty(0, D), torch.empty(0, dtype=torch.int64))
    with pytest.raises(TrainingError, match="no picture is left to choose settings on"):
        learn_with_chosen_alpha(FewShots(drawn.passes, nothing), BASE, SCALE, settings)


def test_a_random_base_keeps_norms_and_nothing_else() -> None:
    drawn = random_base(BASE, 1)
    torch.testing.assert_close(drawn.norm(dim=1), BASE.norm(dim=1))
    assert float((normalize(drawn) * normalize(BASE)).sum(1).abs().max()) < 0.6
    assert not torch.equal(drawn, random_base(BASE, 2))


def test_a_linear_probe_is_at_its_minimum() -> None:
    """The gradient of C sum(ce) + |W|^2 / 2 with respect to the bias is zero where it has converged."""
    drawn = shots(16)
    fitted = linear_probe(drawn, K)
    zero = fitted(torch.eye(D) * 1e-9 + 1e-9)  # finite where features are tiny: they are normalised
    assert bool(torch.isfinite(zero).all())
    errors = torch.softmax(fitted(drawn.train.features), 1) - torch.nn.functional.one_hot(drawn.labels, K)
    assert float(errors.sum(0).abs().max()) < 0.05 * len(drawn.labels)
    assert share(fitted) > 0.6


def test_tip_adapters_formula() -> None:
    keys, values = normalize(torch.randn(3, D, generator=GENERATOR)), torch.eye(K)[:3]
    feature = torch.randn(1, D, generator=GENERATOR)
    cosines = (normalize(feature) @ keys.T)[0]
    wanted = SCALE * (normalize(feature) @ normalize(BASE).T)[0]
    wanted[:3] += 2.0 * torch.exp(-5.0 * (1 - cosines))
    torch.testing.assert_close(Cache(keys, values, BASE, SCALE, 2.0, 5.0)(feature)[0], wanted)


def test_tip_adapter_f_moves_the_keys() -> None:
    drawn = shots()
    plain, trained = tip_adapter(drawn, BASE, SCALE), tip_adapter_f(drawn, BASE, SCALE, 1)
    assert isinstance(plain, Cache)
    assert isinstance(trained, Cache)
    assert not torch.equal(plain.keys, trained.keys)
    assert not trained.keys.requires_grad
    assert torch.equal(trained.keys, tip_adapter_f(drawn, BASE, SCALE, 1).keys)  # type: ignore[attr-defined]


class Source:
    """Draws as a data set's features give them."""

    def draw(self, count: int, seed: int) -> FewShots:
        return FewShots((sample(count, seed),), sample(4, 100 + seed))

    def test(self) -> LabelledFeatures:
        return TEST


def comparison(work: Path | None = None, told: list[str] | None = None) -> object:
    base = TaskResidual(BASE, torch.zeros_like(BASE), 1.0, SCALE, tuple("abcd"), "t" * 64)
    progress = told.append if told is not None else keep_quiet
    return compare(Source(), base, (2,), (1, 2), Settings(), progress, work)  # type: ignore[arg-type]


def test_the_comparison_is_paired_and_its_table_whole(tmp_path: Path) -> None:
    table = comparison(tmp_path / "work")
    ours, probe = table.cell(OURS, 2), table.cell("linear probe", 2)  # type: ignore[attr-defined]
    assert ours.right.shape == (2, len(TEST))
    ahead = ours.ahead_of(probe)
    assert ahead.mean == pytest.approx(ours.accuracy.mean - probe.accuracy.mean)
    assert ahead.low < ahead.mean < ahead.high
    told: list[str] = []
    again = comparison(tmp_path / "work", told)
    assert told == []  # nothing was computed twice
    assert np.array_equal(again.cell(OURS, 2).right, table.cell(OURS, 2).right)  # type: ignore[attr-defined]
    text = markdown(again)  # type: ignore[arg-type]
    assert all(text.count(f"| {name} |") == (2 if name == OURS else 3) for name in METHODS)
    rows = as_json(again)["results"]  # type: ignore[arg-type]
    assert len(rows) == len(METHODS)
    assert {row["ahead"]["mean"] for row in rows if row["method"] == OURS} == {0.0}
