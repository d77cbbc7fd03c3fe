"""Every backend that loads against float32 eager, and mixed batches row by row."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from artifacts.store.folder import Store
from engine.bank import Bank
from engine.cache import EngineCache, Key
from engine.checkpoint import load_model
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.network import Buffers, ZeroShot, buffers, in_dtype
from engine.overrides import write_slots
from engine.program import Scope
from engine.runtime import Engine
from engine.tolerance import TOLERANCE, Tolerance, psnr
from parity.weights import SIZES, synthetic_model
from tests.numerics.conftest import GetEngine, backend_or_skip
from tests.support import random_vector

CPU = torch.device("cpu")
CANVASES = Path(__file__).parents[1] / "data" / "golden" / "public" / "canvases.npz"
TASKS = 5


def queries(geometry_tile: int) -> Pixels:
    """The query tiles of the golden canvases."""
    with np.load(CANVASES) as archive:
        canvases = [archive[f"c{k}/original_int"] for k in (0, 1)]
    return np.stack([canvas[geometry_tile:, :geometry_tile] for canvas in canvases]).astype(np.uint8)


class Logits(ZeroShot):
    """The zero-shot program up to its logits, float32 [B,98,codes]."""

    def forward(
        self,
        pixels: Tensor,
        slot: Tensor,
        encoder_value: Tensor,
        encoder_mask: Tensor,
        decoder_value: Tensor,
        decoder_mask: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        planes = self.model.normalise(pixels.float().permute(0, 3, 1, 2) / 255).to(self.model.vae.codebook.dtype)
        encoder = write_slots(encoder_value, encoder_mask, slot)
        decoder = write_slots(decoder_value, decoder_mask, slot)
        return self.model.logits(self.name, planes, encoder, decoder).float()


def filled(model: MaeVqgan, dtype: torch.dtype) -> Bank:
    bank = Bank(model.config.mae, model.program("zero_shot"), 4, CPU, dtype)
    for slot in (1, 2):
        bank.write(slot, random_vector(model, "m", slot))
    return bank


def inputs(network: ZeroShot, bank: Bank) -> tuple[Tensor, ...]:
    """Both golden queries, each bare and with a vector."""
    own = buffers(network, 4, bank.tensors(), CPU)
    own.pixels.copy_(torch.from_numpy(np.tile(queries(network.side), (2, 1, 1, 1))))
    assert own.slot is not None
    own.slot.copy_(torch.tensor([0, 0, 1, 2]))
    return own.inputs


def assert_logits(found: Tensor, wanted: Tensor, allowed: Tolerance) -> None:
    assert float((found - wanted).abs().max() / wanted.abs().max()) <= allowed.logits
    assert float((found.argmax(-1) == wanted.argmax(-1)).float().mean()) >= allowed.codes


@pytest.fixture(scope="module", params=["golden", pytest.param("bundled", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest) -> MaeVqgan:
    return synthetic_model(SIZES["tiny"]) if request.param == "golden" else load_model(BUNDLED_MODEL)[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_within_its_tolerance(model: MaeVqgan, dtype: torch.dtype) -> None:
    """What strongly typed backends compute, in PyTorch on the CPU."""
    allowed, lower = TOLERANCE[dtype], in_dtype(model, dtype)
    assert {t.dtype for t in lower.parameters()} == {dtype}
    assert model.vae.codebook.dtype == torch.float32
    with torch.inference_mode():
        wanted = Logits(model, Scope.ANSWER)(*inputs(Logits(model, Scope.ANSWER), filled(model, torch.float32)))
        given = inputs(Logits(lower, Scope.ANSWER), filled(model, dtype))
        assert_logits(Logits(lower, Scope.ANSWER)(*given), wanted, allowed)
        answers = ZeroShot(lower, Scope.ANSWER)(*given).numpy()
        exact = ZeroShot(model, Scope.ANSWER)(*given).numpy()
    least = allowed.psnr if model.config.name.startswith("golden") else allowed.trained_psnr
    assert min(psnr(a, b) for a, b in zip(answers, exact, strict=True)) >= least


@pytest.mark.slow
def test_logits_of_a_compiled_network(engine_cache: Path) -> None:
    """In float32, where the least error shows."""
    model, dtype = synthetic_model(SIZES["tiny"]), torch.float32
    compiler, network = backend_or_skip("openvino"), Logits(model, Scope.ANSWER)
    key = Key(f"logits of {model.config.name}", "zero_shot", "answer", str(dtype)[6:], 4, (4,), "t", "0", "cpu")
    given = inputs(network, filled(model, dtype))
    with torch.inference_mode():
        wanted = network(*given)
    own = Buffers(given, torch.zeros_like(wanted))
    compiler.compile(network, (4,), key, EngineCache(engine_cache)).bind(own)()
    assert_logits(own.output, wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("backend", ["eager", pytest.param("openvino", marks=pytest.mark.slow)])
def test_answers_of_the_bundled_model(backend: str, engine_cache: Path) -> None:
    """The backend's own choice of type, with the bundled task vectors."""
    backend_or_skip(backend)
    subject = Engine.load(BUNDLED_MODEL, slots=6, buckets=(4,), backend=backend, cache=engine_cache)
    names = ("segmentation", "inpaint")
    for slot, name in enumerate(names, start=1):
        subject.write_slot(slot, Store(BUNDLED_STORE).read(name, subject.fingerprint).vector)
    tiles = np.tile(queries(subject.geometry.tile), (2, 1, 1, 1))
    slots = [0, 1, 1, 2]
    asked = subject.compiled.reference
    wanted = [asked("zero_shot", tile[None], slot)[0] for tile, slot in zip(tiles, slots, strict=True)]
    least = TOLERANCE[subject.dtype].trained_psnr
    assert min(psnr(a, b) for a, b in zip(subject.zero_shot(tiles, slots), wanted, strict=True)) >= least


def tiles_for(subject: Engine, count: int, seed: int = 0) -> Pixels:
    draw, side = np.random.default_rng(seed), subject.geometry.tile
    coarse = draw.integers(0, 256, (count, 7, 7, 3), np.uint8)
    return coarse.repeat(side // 7, 1).repeat(side // 7, 2)


def install(subject: Engine) -> None:
    for slot in range(1, TASKS + 1):
        subject.write_slot(slot, random_vector(subject.model, subject.fingerprint, slot))


def alone(subject: Engine, tile: Pixels, slot: int) -> Pixels:
    return subject.zero_shot(tile[None], [slot])[0]


def assert_close(subject: Engine, found: Pixels, wanted: Pixels) -> None:
    assert psnr(found, wanted) >= TOLERANCE[subject.dtype].psnr


def test_each_row_of_a_mixed_batch_is_as_alone(engine: Engine) -> None:
    """Every bucket, with and without padding, in any order; and each row nearest to its own vector's answer."""
    install(engine)
    tiles, draw = tiles_for(engine, 4), random.Random(0)
    single = {slot: [alone(engine, tile, slot) for tile in tiles] for slot in range(TASKS + 1)}
    for count in (1, 2, 3, 4):
        rows = [(draw.randrange(4), draw.randrange(TASKS + 1)) for _ in range(count)]
        found = engine.zero_shot(np.stack([tiles[tile] for tile, _ in rows]), [slot for _, slot in rows])
        assert len(found) == count
        for answer, (tile, slot) in zip(found, rows, strict=True):
            assert_close(engine, answer, single[slot][tile])
            assert max(single, key=lambda other: psnr(answer, single[other][tile])) == slot


def test_a_write_between_runs_changes_exactly_its_row(engine: Engine) -> None:
    install(engine)
    tiles, slots = tiles_for(engine, 4), [1, 2, 3, 0]
    before = engine.zero_shot(tiles, slots)
    assert np.array_equal(engine.zero_shot(tiles, slots), before)
    engine.write_slot(2, random_vector(engine.model, engine.fingerprint, 77))
    after = engine.zero_shot(tiles, slots)
    assert np.array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert psnr(after[1], before[1]) < 40
    engine.write_slot(2, random_vector(engine.model, engine.fingerprint, 2))
    assert np.array_equal(engine.zero_shot(tiles, slots), before)


def test_all_false_masks_are_the_plain_model_and_all_true_ones_hide_the_picture(engine: Engine) -> None:
    tiles = tiles_for(engine, 2)
    engine.write_slot(1, random_vector(engine.model, engine.fingerprint, 1, share=0.0))
    assert np.array_equal(engine.zero_shot(tiles, [1, 1]), engine.zero_shot(tiles, [0, 0]))
    engine.write_slot(1, random_vector(engine.model, engine.fingerprint, 1, share=1.0))
    for answer, tile in zip(engine.zero_shot(tiles, [1, 1]), tiles, strict=True):
        assert_close(engine, answer, engine.compiled.reference("zero_shot", tile[None], 1)[0])


@pytest.mark.slow
def test_one_shot(engine_of: GetEngine) -> None:
    plain, compiled = engine_of("eager"), engine_of("openvino")
    draw, side = np.random.default_rng(3), plain.geometry.image_size
    canvases = draw.integers(0, 256, (3, side, side, 3), np.uint8)
    for found, wanted in zip(compiled.one_shot(canvases), plain.one_shot(canvases), strict=True):
        assert_close(compiled, found, wanted)


@pytest.mark.slow
def test_the_engine_warms_up_and_names_itself(engine: Engine) -> None:
    if engine.backend != "inductor":  # it would compile one-shot as well, for a minute
        engine.warm_up()
    assert engine.backend != "auto"
    assert engine.fallbacks == ()
    engine.bank.check_integrity()
