"""Towers compiled by every backend, their bank of heads, and an engine that paints and classifies."""

import random
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.paths import BUNDLED_TOWERS
from engine.backends.eager import Eager
from engine.cache import EngineCache
from engine.classification import Precision
from engine.classification.head import Head, scores, unit
from engine.classifier import TOLERANCE, Classifier, TowerSpec
from engine.encoder import Encoder
from engine.errors import BankFull, EngineError, ModelMismatch
from engine.geometry import Pixels
from engine.host_tower import quick_runner
from engine.runner import Row
from engine.runtime import Engine
from engine.slots import SlotTable
from engine.task_vector import TaskVector
from engine.tolerance import TOLERANCE as OF_PICTURES
from engine.tolerance import psnr
from engine.tower_network import TowerFeatures, TowerScores
from engine.tower_plan import TowerPlan
from engine.towers.folder import load_tower
from tests.numerics.conftest import COMPILED_HERE, ON_CPU, GetEngine, backend_or_skip
from tests.support import random_vector

ON_GPU = ("eager", "inductor", "tensorrt", "torch_tensorrt")
SLOTS, MOST_CLASSES = 6, 9
QUICK_TOLERANCE = 0.1
"""Of a score in bfloat16."""
STEPS, PICTURES = 10_000, 4
GetClassifier = Callable[..., Classifier]


@pytest.fixture(scope="session")
def classifier_of(tower_folder: Path, engine_cache: Path) -> GetClassifier:
    """The tiny tower in a backend; skips where that cannot load."""

    @cache
    def make(name: str, device: str = "cpu") -> Classifier:
        backend_or_skip(name, device)
        made = TowerPlan(
            tower_folder,
            slots=SLOTS,
            classes=MOST_CLASSES,
            buckets=(4,) if name in COMPILED_HERE else (2, 4),
            backend=name,
            device=device,
            cache=engine_cache,
        ).build(lambda line: None)
        made.warm_up()
        return made

    return make


def pictures(count: int, side: int = 32) -> Pixels:
    """Smooth random colours."""
    coarse = torch.from_numpy(np.random.default_rng(5).random((count, 3, 4, 4), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def head_for(tower: str, features: torch.Tensor, classes: int, seed: int) -> Head:
    """Its classes lie around what tells pictures apart, or random rows would say the same class of each."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(classes, len(features), generator=generator) @ (features - features.mean(0))
    return Head(unit(mixed).contiguous(), 10.0, tuple(f"{seed}-{row}" for row in range(classes)), tower)


@torch.inference_mode()
def features_of(classifier: Classifier, seen: Pixels) -> torch.Tensor:
    return TowerFeatures(classifier.tower)(torch.from_numpy(seen).to(classifier.spec.device)).cpu()


def heads_and_pictures(classifier: Classifier, classes: list[int]) -> tuple[list[Head], Pixels, torch.Tensor]:
    seen = pictures(PICTURES)
    features = features_of(classifier, seen)
    mark = classifier.tower.fingerprint
    return [head_for(mark, features, count, seed) for seed, count in enumerate(classes)], seen, features


@pytest.mark.parametrize(
    ("name", "device"),
    [
        *(pytest.param(name, "cpu", marks=() if name == "eager" else pytest.mark.slow) for name in ON_CPU),
        *(
            pytest.param(name, "cuda", marks=pytest.mark.gpu)
            for name in ("eager", "inductor", "tensorrt", "torch_tensorrt")
        ),
    ],
)
def test_rows_of_a_mixed_batch_get_what_they_get_alone(classifier_of: GetClassifier, name: str, device: str) -> None:
    classifier = classifier_of(name, device)
    heads, seen, features = heads_and_pictures(classifier, [3, 9, 5])
    for slot, head in enumerate(heads, start=1):
        classifier.write_slot(slot, head)
    classifier.bank.check_integrity()
    for slots in ([2, 1, 3, 2], [3, 3, 1], [1], [3, 2, 1, 1]):
        rows = classifier.submit(seen[: len(slots)], slots).result()
        for row, slot, feature in zip(rows, slots, features, strict=False):
            alone = scores(feature[None], heads[slot - 1].matrix, heads[slot - 1].scale)[0].numpy()
            assert np.abs(row[: len(alone)] - alone).max() < TOLERANCE
            assert not row[len(alone) :].any()


class EagerAsBfloat16(Eager):
    """Says that it is quick in bfloat16; what is rounded for that are weights."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.dtype = torch.bfloat16


def test_bfloat16_is_for_what_computes_in_it_and_stays_near(
    tower_folder: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, seen = torch.device("cpu"), pictures(PICTURES)

    def made(precision: Precision, backend: Eager) -> Classifier:
        tower, cache = load_tower(tower_folder), EngineCache(engine_cache)
        own = Classifier(TowerSpec(tower, device, (2, 4), SLOTS, MOST_CLASSES, cache, precision=precision), backend)
        own.warm_up()
        own.write_slot(1, heads_and_pictures(own, [MOST_CLASSES])[0][0])
        return own

    exact, quick = made("bfloat16", Eager(device)), made("bfloat16", EagerAsBfloat16(device))
    asked = made("float32", EagerAsBfloat16(device))
    assert [own.precision for own in (exact, quick, asked)] == ["float32", "bfloat16", "float32"]
    wanted, found, same = (own.submit(seen, [1] * PICTURES).result() for own in (exact, quick, asked))
    assert np.array_equal(same, wanted)
    assert not np.array_equal(found, wanted)
    np.testing.assert_allclose(found, wanted, atol=QUICK_TOLERANCE)
    monkeypatch.setattr("engine.host_tower.LARGEST_ERROR", 0.0)
    too_far = made("bfloat16", EagerAsBfloat16(device))
    assert too_far.precision == "float32"
    assert np.array_equal(too_far.submit(seen, [1] * PICTURES).result(), wanted)


@pytest.mark.slow
def test_a_picture_has_the_same_feature_in_every_batch(engine_cache: Path) -> None:
    """To the bit: what is served in bfloat16 is what offline commands compute."""
    backend = backend_or_skip("openvino", "cpu")
    if backend.dtype != torch.bfloat16:
        pytest.skip("this processor does not compute in bfloat16")
    tower = load_tower(BUNDLED_TOWERS / "lite0")
    runner = quick_runner(tower, backend, (1, 2, 4, 8), EngineCache(engine_cache), lambda line: None)
    assert runner is not None
    seen = pictures(8, tower.size)
    alone = np.concatenate([runner.submit(seen[row : row + 1], ()).result() for row in range(8)])
    for size in (2, 3, 4, 7, 8):
        assert np.array_equal(runner.submit(seen[:size], ()).result(), alone[:size])
    encoder = Encoder(tower, "bfloat16", engine_cache)
    assert encoder.precision == "bfloat16"
    assert np.array_equal(encoder.features(np.concatenate([seen, seen[:3]])).numpy()[:8], alone)


def test_captured_graphs_give_what_grouped_products_give(classifier_of: GetClassifier) -> None:
    """The network that GPUs capture, on the CPU: padded classes, slots in any order, an empty slot for padding."""
    classifier = classifier_of("eager")
    heads, seen, _ = heads_and_pictures(classifier, [3, 9, 5])
    for slot, head in enumerate(heads, start=1):
        classifier.write_slot(slot, head)
    slots = [2, 3, 1, 2]
    network = TowerScores(classifier.tower, MOST_CLASSES)
    with torch.inference_mode():
        padded = network(torch.from_numpy(seen), torch.tensor(slots), *classifier.bank.tensors())
    np.testing.assert_allclose(padded.numpy(), classifier.submit(seen, slots).result(), atol=1e-5)
    with torch.inference_mode():
        others = network(torch.from_numpy(seen), torch.tensor([2, 0, 1, 2]), *classifier.bank.tensors())
    torch.testing.assert_close(others[[0, 3]], padded[[0, 3]])
    sizes = [spec.shape(4, SLOTS) for spec in network.specs(torch.float32)]
    assert sizes[1:] == [(4,), *(tuple(tensor.shape) for tensor in classifier.bank.tensors())]


def test_what_does_not_fit_is_refused(classifier_of: GetClassifier, engine_of: GetEngine) -> None:
    classifier = classifier_of("eager")
    for pixels, slots in (
        (pictures(1, 16), [1]),
        (pictures(2), [1]),
        (pictures(1), [0]),
        (pictures(1), [SLOTS]),
        (pictures(1).astype(np.float32), [1]),
        (pictures(1)[:0], []),
    ):
        with pytest.raises(EngineError):
            classifier.submit(pixels, slots)  # type: ignore[arg-type]
    heads, _, features = heads_and_pictures(classifier, [2])
    with pytest.raises(ModelMismatch):
        classifier.write_slot(1, head_for("other", features, 2, 1))
    engine = engine_of("eager")
    for use in (lambda: engine.submit("classify", pictures(1), [1]), lambda: engine.write_slot(1, heads[0])):
        with pytest.raises(EngineError, match="no image tower"):
            use()


def test_a_tower_that_answers_otherwise_fails_its_self_check(
    tower_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TowerFeatures.forward
    plan = TowerPlan(tower_folder, slots=3, classes=9, buckets=(1, 2), backend="eager", cache=tmp_path)
    classifier = plan.build(lambda line: None)

    def wrong(self: TowerFeatures, pixels: torch.Tensor) -> torch.Tensor:
        features = own(self, pixels)
        return features.flip(1) if len(pixels) > 1 else features

    monkeypatch.setattr(TowerFeatures, "forward", wrong)
    with pytest.raises(EngineError, match="self-check failed: classify, bucket 2"):
        classifier.warm_up()


def test_a_check_does_not_wipe_a_head(tower_folder: Path, tmp_path: Path) -> None:
    plan = TowerPlan(tower_folder, slots=3, classes=9, buckets=(1,), backend="eager", cache=tmp_path)
    classifier = plan.build(lambda line: None)
    assert not classifier.bank.classes.any()
    classifier.write_slot(1, heads_and_pictures(classifier, [2])[0][0])
    with pytest.raises(EngineError, match="before heads are written"):
        classifier.warm_up()


def test_a_plan_reads_no_weights(tower_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tower.json").write_text((tower_folder / "tower.json").read_text())
    plan, tower = TowerPlan(tmp_path, slots=3, classes=9), load_tower(tower_folder)
    about = plan.about
    assert (about.fingerprint, about.size, about.shorter_edge, about.width) == (
        tower.fingerprint,
        tower.size,
        tower.shorter_edge,
        tower.width,
    )


@pytest.mark.slow
def test_ten_thousand_steps_over_both_kinds(
    engine_of: GetEngine, classifier_of: GetClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installs, evictions and batches of three classification and five painted tasks in one table of slots, against
    each task alone."""
    engine, classifier, draw = engine_of("eager"), classifier_of("eager"), random.Random(2)
    monkeypatch.setattr(engine, "classifier", classifier)
    heads, seen, features = heads_and_pictures(classifier, [3, 9, 5])
    side = engine.geometry.tile
    tiles = np.random.default_rng(1).integers(0, 256, (PICTURES, side, side, 3), np.uint8)
    contents: dict[str, TaskVector | Head] = {f"class {k}": head for k, head in enumerate(heads)}
    contents |= {f"paint {k}": random_vector(engine.model, engine.fingerprint, k) for k in range(5)}
    wanted = {
        (name, k): _alone(engine, content, tiles[k], features[k])
        for name, content in contents.items()
        for k in range(PICTURES)
    }
    table, held = SlotTable(SLOTS), list[tuple[str, int]]()
    counts = {"classify": 0, "paint": 0, "install": 0, "reuse": 0, "full": 0}
    for step in range(STEPS):
        action = draw.random()
        if action < 0.015 and held:
            _run(engine, [draw.choice(held) for _ in range(4)], draw, tiles, seen, wanted, counts)
        elif action < 0.55 or not held:
            name = draw.choice(list(contents))
            try:
                slot, fresh = table.acquire(name)
            except BankFull:
                counts["full"] += 1
                continue
            if fresh:
                engine.write_slot(slot, contents[name])
            held.append((name, slot))
            counts["install" if fresh else "reuse"] += 1
        else:
            table.release(held.pop(draw.randrange(len(held)))[1])
        if step % 500 == 0:
            table.check_integrity()
            engine.bank.check_integrity()
            classifier.bank.check_integrity()
    assert min(counts.values()) > 100, counts
    assert table.evictions > 100
    for first, second in combinations(contents, 2):  # one taken for another would have been seen
        pairs = [(wanted[first, k], wanted[second, k]) for k in range(PICTURES)]
        if "class" in first and "class" in second:
            assert max(np.abs(one - other).max() for one, other in pairs) > 20 * TOLERANCE
        elif "paint" in first and "paint" in second:
            assert max(psnr(one, other) for one, other in pairs) < OF_PICTURES[torch.float32].psnr - 6


def _alone(engine: Engine, content: TaskVector | Head, tile: Pixels, feature: torch.Tensor) -> Row:
    """What a task answers with nothing else in the bank; scores are padded to the bank's classes."""
    if isinstance(content, Head):
        row = np.zeros(MOST_CLASSES, np.float32)
        row[: len(content.labels)] = scores(feature[None], content.matrix, content.scale)[0].numpy()
        return row
    engine.write_slot(1, content)
    return engine.zero_shot(tile[None], [1])[0]


def _run(
    engine: Engine,
    rows: list[tuple[str, int]],
    draw: random.Random,
    tiles: Pixels,
    seen: Pixels,
    wanted: dict[tuple[str, int], Row],
    counts: dict[str, int],
) -> None:
    """Two batches, as the batcher makes of them: what is classified, and what is painted."""
    numbers = [draw.randrange(PICTURES) for _ in rows]
    asked = list(zip(rows, numbers, strict=True))
    classified = [row for row in asked if row[0][0].startswith("class")]
    painted = [row for row in asked if row not in classified]
    if classified:
        found = engine.submit("classify", seen[[k for _, k in classified]], [slot for (_, slot), _ in classified])
        for answer, ((name, _), k) in zip(found.result(), classified, strict=True):
            assert np.abs(answer - wanted[name, k]).max() < TOLERANCE
        counts["classify"] += 1
    if painted:
        answers = engine.zero_shot(tiles[[k for _, k in painted]], [slot for (_, slot), _ in painted])
        for answer, ((name, _), k) in zip(answers, painted, strict=True):
            assert psnr(answer, wanted[name, k]) >= OF_PICTURES[torch.float32].psnr
        counts["paint"] += 1
