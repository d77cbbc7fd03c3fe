"""Heads and their bank: what is refused, and that a row of a mixed batch gets what it gets alone."""

import random

import pytest
import torch
from torch import Tensor

from engine.classification import bank as bank_module
from engine.classification.bank import HeadBank
from engine.classification.head import LARGEST_SCALE, Head, logits, make_head, scores, unit
from engine.errors import BankFull, EngineError, ModelMismatch
from engine.slots import SlotTable

TOWER, WIDTH = "t" * 64, 16


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head_of(classes: int, seed: int, tower: str = TOWER) -> Head:
    labels = tuple(f"class {seed}-{row}" for row in range(classes))
    return make_head(draw(classes, WIDTH, seed=seed), draw(classes, WIDTH, seed=-seed), 0.5, 20.0 + seed, labels, tower)


def test_scores_are_the_softmax_of_the_logits() -> None:
    base, residual, features = draw(5, WIDTH, seed=1), draw(5, WIDTH, seed=2), draw(3, WIDTH, seed=3)
    head = make_head(base, residual, 0.5, 100.0, tuple("abcde"), TOWER)
    given = logits(features, base + 0.5 * residual, 100.0)
    torch.testing.assert_close(scores(features, head.matrix, head.scale), given.softmax(1))
    cosine = torch.nn.functional.cosine_similarity(features[:, None], (base + 0.5 * residual)[None], dim=2)
    torch.testing.assert_close(given, 100 * cosine, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("a", "a")}, "'a' is empty or occurs twice"),
        ({"labels": ("a", "")}, "'' is empty or occurs twice"),
        ({"labels": ("a", "b", "c")}, "3 class names do not fit a matrix"),
        ({"scale": float("nan")}, "scale must be finite"),
        ({"scale": 0.0}, "scale must be finite"),
        ({"scale": 1e39}, "scale must be finite, above 0 and at most"),
        ({"matrix": torch.zeros(2, WIDTH)}, "class 'a' is not a finite vector"),
        ({"matrix": torch.full((2, WIDTH), torch.nan)}, "class 'a' is not a finite vector"),
        ({"matrix": torch.zeros(2)}, "do not fit a matrix"),
        ({"matrix": unit(torch.ones(2, WIDTH))}, "cannot be told apart"),
        ({"scale": 1e-6}, "cannot be told apart"),
    ],
)
def test_a_head_that_is_none_is_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"matrix": unit(draw(2, WIDTH, seed=1)), "scale": 1.0, "labels": ("a", "b")}
    with pytest.raises(EngineError, match=message):
        Head(**{**good, **change}, tower=TOWER)  # type: ignore[arg-type]


def test_a_head_of_one_class_is_one() -> None:
    head = Head(unit(torch.ones(1, WIDTH)), 1.0, ("a",), TOWER)
    assert scores(head.matrix, head.matrix, head.scale).tolist() == [[1.0]]


def test_the_largest_scale_that_a_head_may_have_gives_scores() -> None:
    head = Head(unit(draw(3, WIDTH, seed=1)), LARGEST_SCALE, ("a", "b", "c"), TOWER)
    given = scores(torch.cat([head.matrix, -head.matrix]), head.matrix, head.scale)
    assert bool(torch.isfinite(given).all())


def test_a_mixed_batch_gives_each_row_what_it_gets_alone() -> None:
    bank = HeadBank(TOWER, slots=4, classes=9, width=WIDTH, device=torch.device("cpu"))
    heads = {1: head_of(3, 1), 2: head_of(9, 2), 3: head_of(5, 3)}
    for slot, head in heads.items():
        bank.write(slot, head)
    features, slots = draw(8, WIDTH, seed=9), [2, 1, 3, 2, 2, 1, 3, 1]
    for row, (slot, given) in enumerate(zip(slots, bank.scores(features, slots), strict=True)):
        alone = scores(features[row : row + 1], heads[slot].matrix, heads[slot].scale)[0]
        classes = len(heads[slot].labels)
        torch.testing.assert_close(given[:classes], alone, rtol=1e-5, atol=1e-6)
        assert not given[classes:].any()


def test_heads_read_by_several_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_module, "_WORTH_A_THREAD", 1)
    alone, shared = (HeadBank(TOWER, 6, 9, WIDTH, torch.device("cpu"), threads) for threads in (1, 3))
    for slot in range(1, 6):
        for bank in (alone, shared):
            bank.write(slot, head_of(2 + slot, slot))
    for seed in range(20):
        features = draw(8, WIDTH, seed=seed)
        slots = [1 + (row * seed + row) % 5 for row in range(8)]
        assert torch.equal(shared.scores(features, slots), alone.scores(features, slots))
    shared.clear(4)
    with pytest.raises(EngineError, match=r"slot 4 .* is empty"):
        shared.scores(draw(3, WIDTH, seed=1), [1, 2, 4])


def test_a_feature_that_is_not_finite_spoils_its_own_row_only() -> None:
    bank = HeadBank(TOWER, slots=2, classes=3, width=WIDTH, device=torch.device("cpu"))
    bank.write(1, head_of(3, 1))
    features = draw(3, WIDTH, seed=4)
    features[0, 0], features[2] = torch.nan, 0.0
    given = bank.scores(features, [1, 1, 1])
    assert [bool(row.isfinite().all()) for row in given] == [False, True, False]


def test_what_does_not_fit_a_bank_is_refused() -> None:
    bank = HeadBank(TOWER, slots=2, classes=3, width=WIDTH, device=torch.device("cpu"))
    with pytest.raises(ModelMismatch, match="tower uuuu"):
        bank.write(1, head_of(3, 1, "u" * 64))
    with pytest.raises(EngineError, match="4x16 does not fit"):
        bank.write(1, head_of(4, 1))
    for slot in (0, 2, -1):
        with pytest.raises(EngineError, match="is not one of"):
            bank.write(slot, head_of(3, 1))
    with pytest.raises(EngineError, match=r"slot 1 .* is empty"):
        bank.scores(draw(1, WIDTH, seed=1), [1])
    with pytest.raises(EngineError, match="2 features do not fit 1 slots"):
        bank.scores(draw(2, WIDTH, seed=1), [1])


def test_integrity_names_a_spoilt_slot() -> None:
    bank = HeadBank(TOWER, slots=3, classes=3, width=WIDTH, device=torch.device("cpu"))
    bank.write(2, head_of(3, 1))
    bank.check_integrity()
    bank.matrix[2, 1, 0] = torch.nan
    with pytest.raises(EngineError, match="slot 2"):
        bank.check_integrity()
    bank.clear(2)
    bank.check_integrity()
    bank.classes[0] = 1
    with pytest.raises(EngineError, match="slot 0"):
        bank.check_integrity()


def test_random_installs_runs_and_evictions() -> None:
    """After any of them a head in the bank gives what it gives alone, from a tensor that never moves."""
    rng, heads = random.Random(0), {f"task {n}": head_of(2 + n % 4, n + 1) for n in range(9)}
    bank, table = HeadBank(TOWER, 5, 5, WIDTH, torch.device("cpu")), SlotTable(5)
    held: list[tuple[str, int]] = []
    for step in range(600):
        if held and rng.random() < 0.5:
            table.release(held.pop(rng.randrange(len(held)))[1])
            continue
        name = rng.choice(list(heads))
        try:
            slot, fresh = table.acquire(name)
        except BankFull:
            continue
        if fresh:
            bank.write(slot, heads[name])
        held.append((name, slot))
        features = draw(len(held), WIDTH, seed=step)
        for row, (own, given) in enumerate(zip(held, bank.scores(features, [s for _, s in held]), strict=True)):
            alone = scores(features[row : row + 1], heads[own[0]].matrix, heads[own[0]].scale)[0]
            torch.testing.assert_close(given[: len(alone)], alone, rtol=1e-4, atol=1e-6)
    table.check_integrity()
    bank.check_integrity()
    assert table.evictions > 50
