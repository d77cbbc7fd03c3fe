"""Captured graphs on a real device: two batches in flight, installs between them, and what the capture reports."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.paths import BUNDLED_MODEL
from engine.cuda_graphs import GraphRunner
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.runtime import DEFAULT_BUCKETS, Engine
from engine.tolerance import TOLERANCE, psnr
from tests.support import random_vector

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BUCKETS, SLOTS, TASKS = DEFAULT_BUCKETS["cuda"], 64, 5


@pytest.fixture(scope="module", params=["eager", "auto"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The bundled model with five random tasks."""
    cache = tmp_path_factory.mktemp("engines")
    made = Engine.load(BUNDLED_MODEL, slots=SLOTS, buckets=BUCKETS, backend=request.param, device="cuda", cache=cache)
    made.warm_up()
    for slot in range(1, TASKS + 1):
        made.write_slot(slot, random_vector(made.model, made.fingerprint, slot))
    return made


def tiles_for(engine: Engine, count: int) -> Pixels:
    side = engine.geometry.tile
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def test_two_in_flight_answer_as_one_after_the_other(engine: Engine) -> None:
    draw, tiles = random.Random(0), tiles_for(engine, 8)
    batches = [[draw.randrange(TASKS + 1) for _ in range(draw.randrange(1, 9))] for _ in range(60)]
    wanted = [engine.zero_shot(tiles[: len(slots)], slots) for slots in batches]
    flying = [engine.submit("zero_shot", tiles[: len(batches[0])], batches[0])]
    found = []
    for slots in batches[1:]:
        flying.append(engine.submit("zero_shot", tiles[: len(slots)], slots))
        found.append(flying.pop(0).result())
    found.append(flying.pop().result())
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_an_install_waits_for_the_batch_under_way_and_not_the_host_for_it(engine: Engine) -> None:
    tiles = tiles_for(engine, 8)
    old = engine.zero_shot(tiles, [5] * 8)
    pending = engine.submit("zero_shot", tiles, [5] * 8)
    engine.write_slot(5, random_vector(engine.model, engine.fingerprint, 99))
    after = engine.submit("zero_shot", tiles, [5] * 8)
    assert np.array_equal(pending.result(), old)
    assert psnr(after.result(), old) < 40
    engine.write_slot(5, random_vector(engine.model, engine.fingerprint, 5))
    assert np.array_equal(engine.zero_shot(tiles, [5] * 8), old)
    torch.cuda.synchronize()
    engine.bank.check_integrity()


def test_every_bucket_is_captured_largest_first(engine: Engine) -> None:
    report = engine.capture_report
    assert [line.bucket for line in report] == [*reversed(BUCKETS)] * 2
    assert [line.program for line in report] == ["one_shot"] * len(BUCKETS) + ["zero_shot"] * len(BUCKETS)
    assert sum(line.bytes for line in report) < 1e9


def test_rows_agree_with_float32_eager(engine: Engine) -> None:
    assert isinstance(engine.compiled.runners["zero_shot"], GraphRunner)
    tiles = tiles_for(engine, 7)
    slots = [0, 1, 2, 3, 4, 5, 1]
    for answer, tile, slot in zip(engine.zero_shot(tiles, slots), tiles, slots, strict=True):
        wanted = engine.compiled.reference("zero_shot", tile[None], slot)[0]
        assert psnr(answer, wanted) >= TOLERANCE[engine.dtype].trained_psnr


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_mixes_slots_with_installs_between_its_replays(engine: Engine, bucket: int) -> None:
    tiles, spare = tiles_for(engine, bucket), TASKS + 1
    slots = [row % (TASKS + 2) for row in range(bucket)]
    alone = {
        (row, seed): engine.compiled.reference("zero_shot", tiles[row : row + 1], slot)[0]
        for seed in (7, 8)
        for row, slot in enumerate(slots)
        if not engine.write_slot(spare, random_vector(engine.model, engine.fingerprint, seed))
    }
    for seed in (7, 8, 7, 8):
        engine.write_slot(spare, random_vector(engine.model, engine.fingerprint, seed))
        for row, answer in enumerate(engine.zero_shot(tiles, slots)):
            assert psnr(answer, alone[row, seed]) >= TOLERANCE[engine.dtype].trained_psnr, (row, seed)


def test_three_in_flight_are_refused(engine: Engine) -> None:
    tiles = tiles_for(engine, 1)
    flying = [engine.submit("zero_shot", tiles, [0]) for _ in range(2)]
    with pytest.raises(EngineError, match="2 batches are in flight"):
        engine.submit("zero_shot", tiles, [0])
    for pending in flying:
        pending.result()


def test_a_compiled_engine_is_found_again(tmp_path: Path) -> None:
    first = Engine.load(BUNDLED_MODEL, buckets=(1,), device="cuda", cache=tmp_path)
    entries = sorted(path.name for path in tmp_path.iterdir())
    again = Engine.load(BUNDLED_MODEL, buckets=(1,), device="cuda", cache=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == entries
    tile = tiles_for(first, 1)
    assert np.array_equal(first.zero_shot(tile, [0]), again.zero_shot(tile, [0]))
