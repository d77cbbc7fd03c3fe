"""The compiled part of an engine, with its real networks, on the fake device."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.cache import EngineCache, Key
from engine.checkpoint import load_model
from engine.compiled_engine import CompiledEngine, CompileSpec
from engine.errors import EngineError
from engine.geometry import Pixels
from engine.network import Buffers, Network
from engine.program import ProgramName, Scope
from engine.tolerance import psnr
from tests.fake_cuda.backend import Context, FakeBackend, FakeNetwork
from tests.fake_cuda.device import FakeCuda
from tests.support import random_vector

BUCKETS = (1, 2, 3)


@pytest.fixture(scope="module")
def spec(tiny_model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> CompileSpec:
    model, mark = load_model(tiny_model[0])
    cache = EngineCache(tmp_path_factory.mktemp("engines"))
    return CompileSpec(model, mark, torch.device("cpu"), BUCKETS, 4, Scope.ANSWER, None, cache)


def tiles(spec: CompileSpec, count: int) -> Pixels:
    side = spec.model.geometry.tile
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def test_it_answers_as_float32_eager_with_two_in_flight(spec: CompileSpec) -> None:
    device = FakeCuda(3)
    engine = CompiledEngine(spec, FakeBackend(device), device)
    for slot in (1, 2, 3):
        engine.install(slot, random_vector(spec.model, spec.fingerprint, slot))
    pictures = tiles(spec, 3)
    submit = engine.runners["zero_shot"].submit
    flying = [submit(pictures[:2], [3, 1]), submit(pictures, [0, 2, 1])]
    found = [pending.result() for pending in flying]
    for answers, slots in zip(found, ([3, 1], [0, 2, 1]), strict=True):
        for answer, tile, slot in zip(answers, pictures, slots, strict=False):
            assert psnr(answer, engine.reference("zero_shot", tile[None], slot)[0]) > 60


def test_the_check_puts_back_what_slot_1_held(spec: CompileSpec) -> None:
    device = FakeCuda()
    engine = CompiledEngine(spec, FakeBackend(device), device)
    engine.bank.check_integrity()
    assert not any(bool(own.any()) for own in engine.bank.row(1)[:4])
    engine.install(1, random_vector(spec.model, spec.fingerprint, 1))
    before = engine.reference("zero_shot", tiles(spec, 1), 1)
    engine.check(("zero_shot",), (1,))
    assert np.array_equal(engine.reference("zero_shot", tiles(spec, 1), 1), before)


def test_everything_is_freed_with_the_engine(spec: CompileSpec) -> None:
    device = FakeCuda()
    backend = FakeBackend(device)
    engine = CompiledEngine(spec, backend, device)
    contexts = [ref for compiled in backend.compiled for ref in compiled.contexts]
    assert len(contexts) == 2 * len(BUCKETS)
    gc.collect()
    assert all(ref() is not None for ref in contexts)
    gone = weakref.ref(engine)
    del engine, backend
    gc.collect()
    assert gone() is None
    assert device.used() == 0


class Faulty(FakeBackend):
    """Wrong in one bucket of one program."""

    def __init__(self, device: FakeCuda, program: ProgramName, bucket: int, fault: str) -> None:
        super().__init__(device)
        self.program, self.bucket, self.fault = program, bucket, fault

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> FakeNetwork:  # type: ignore[override]
        made = FakeNetwork(self.fake, network)
        if network.name == self.program:
            made.bind = self.bind(made)  # type: ignore[method-assign]
        return made

    def bind(self, made: FakeNetwork):  # type: ignore[no-untyped-def]
        def bind(own: Buffers) -> Context:
            function = made.function
            if own.bucket == self.bucket:
                made.function = {
                    "black": lambda *given: function(*given) * 0,
                    "last row deaf": lambda pixels, slot, *bank: function(
                        pixels, torch.cat([slot[:-1], slot[-1:] * 0]), *bank
                    ),
                }[self.fault]
            try:
                return FakeNetwork.bind(made, own)
            finally:
                made.function = function

        return bind


@pytest.mark.parametrize(
    ("program", "bucket", "fault", "named"),
    [
        ("one_shot", 2, "black", "one_shot, bucket 2"),
        ("zero_shot", 3, "black", "zero_shot, bucket 3, slot 0"),
        ("zero_shot", 3, "last row deaf", "zero_shot, bucket 3, slot 1"),
        ("zero_shot", 1, "last row deaf", "zero_shot, bucket 1, slot 1"),
    ],
)
def test_a_bucket_that_answers_wrongly_is_named(
    spec: CompileSpec, program: ProgramName, bucket: int, fault: str, named: str
) -> None:
    device = FakeCuda()
    with pytest.raises(EngineError, match=f"self-check failed: {named}"):
        CompiledEngine(spec, Faulty(device, program, bucket, fault), device)


def test_progress_is_told_for_each_bucket(spec: CompileSpec) -> None:
    device, told = FakeCuda(), list[str]()
    CompiledEngine(replace(spec, progress=told.append), FakeBackend(device), device)
    assert "building zero_shot, bucket 3, 1 of 3" in told
    assert "building one_shot, bucket 1, 3 of 3" in told
