"""Captured graphs of a tower with its heads on the fake device: installs and batches keep their order."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cache import EngineCache
from engine.classification.head import Head, scores, unit
from engine.classifier import TOLERANCE, Classifier, TowerSpec
from engine.cuda_graphs import InFlight
from engine.errors import BankFull, EngineError
from engine.slots import SlotTable
from engine.towers.tower import Tower
from tests.fake_cuda.backend import FakeBackend
from tests.fake_cuda.device import FakeCuda

TASKS, SLOTS, CLASSES, PICTURES = 7, 5, 6, 3
STEPS = 400
MARK = "t" * 64


class MeanTower(Tower):
    """Features of a picture of 8 px are the means of its rows and columns."""

    architecture = "mean"
    fingerprint = MARK

    def __init__(self) -> None:
        super().__init__(8, 8, 48)
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pictures = pixels.permute(0, 3, 1, 2).float() / 255
        return self.gain * torch.cat((pictures.mean(2), pictures.mean(3)), 1).flatten(1)


def make(seed: int, cache: Path) -> tuple[Classifier, FakeBackend]:
    device = FakeCuda(seed)
    backend = FakeBackend(device)
    tower = MeanTower().eval().requires_grad_(False)
    spec = TowerSpec(tower, torch.device("cpu"), (1, 2, 4), SLOTS, CLASSES, EngineCache(cache))
    return Classifier(spec, backend, device), backend


def head(seed: int) -> Head:
    generator = torch.Generator().manual_seed(seed)
    classes = 2 + seed % (CLASSES - 1)
    matrix = unit(torch.randn(classes, 48, generator=generator))
    return Head(matrix, 5.0 + seed, tuple(f"{seed}-{row}" for row in range(classes)), MARK)


@pytest.mark.parametrize("seed", range(3))
def test_installs_and_batches_keep_their_order_however_late_the_stream_is(seed: int, tmp_path: Path) -> None:
    classifier, backend = make(seed, tmp_path)
    classifier.warm_up()
    assert backend.compiled[0].bound == [4, 2, 1]
    draw, heads = random.Random(seed), [head(number) for number in range(TASKS)]
    seen = np.random.default_rng(seed).integers(0, 256, (PICTURES, 8, 8, 3), np.uint8)
    features = classifier.tower(torch.from_numpy(seen))
    alone = {(n, k): scores(features[k : k + 1], heads[n].matrix, heads[n].scale)[0].numpy()
             for n in range(TASKS) for k in range(PICTURES)}  # fmt: skip
    table, flying = SlotTable(SLOTS), list[tuple[InFlight, list[tuple[int, int, int]]]]()
    answered = 0

    def collect() -> int:
        batch, rows = flying.pop(0)
        for answer, (task, slot, k) in zip(batch.result(), rows, strict=True):
            wanted = alone[task, k]
            assert np.abs(answer[: len(wanted)] - wanted).max() < TOLERANCE
            assert not answer[len(wanted) :].any()
            table.release(slot)
        return len(rows)

    for _ in range(STEPS):
        if len(flying) == 2 or (flying and draw.random() < 0.3):
            answered += collect()
            continue
        rows = []
        for _ in range(draw.randrange(1, 5)):
            task = draw.randrange(TASKS)
            try:
                slot, fresh = table.acquire(f"task {task}")
            except BankFull:
                break
            if fresh:
                classifier.write_slot(slot, heads[task])
            rows.append((task, slot, draw.randrange(PICTURES)))
        if rows:
            batch = classifier.submit(seen[[k for _, _, k in rows]], [slot for _, slot, _ in rows])
            assert isinstance(batch, InFlight)
            flying.append((batch, rows))
    while flying:
        answered += collect()
    assert answered > STEPS / 2
    assert table.evictions > 20


def test_a_tower_that_computes_otherwise_on_the_device_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = MeanTower.forward

    def wrong(self: MeanTower, pictures: torch.Tensor) -> torch.Tensor:
        features = own(self, pictures)
        return features.flip(1) if len(pictures) > 2 else features

    monkeypatch.setattr(MeanTower, "forward", wrong)
    with pytest.raises(EngineError, match="self-check failed: classify, bucket 4"):
        make(0, tmp_path)
