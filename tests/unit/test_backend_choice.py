"""`auto` takes the best that works and says what it passed over; a backend asked for by name works or says why not."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.backends import choice
from engine.backends.choice import choose, make_backend
from engine.backends.eager import Eager, EagerNetwork
from engine.backends.protocol import BackendUnavailable, Launch
from engine.cache import EngineCache, Key
from engine.errors import EngineError
from engine.network import Buffers, Network, ZeroShot
from engine.runtime import Engine
from tests.support import TINY

CPU = torch.device("cpu")


class WrongNetwork(EagerNetwork):
    """Answers black."""

    def bind(self, buffers: Buffers) -> Launch:
        def launch() -> None:
            buffers.output.zero_()

        return launch


class Deaf(EagerNetwork):
    """Answers every row as slot 0 would: overrides are lost."""

    def bind(self, buffers: Buffers) -> Launch:
        pixels, slot, *bank = buffers.inputs
        return EagerNetwork(self.network).bind(Buffers((pixels, torch.zeros_like(slot), *bank), buffers.output))


def backend_of(kind: type[EagerNetwork]) -> type[Eager]:
    class Made(Eager):
        name = "openvino"

        def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> EagerNetwork:
            return kind(network)

    return Made


def load(model: Path, cache: Path, backend: str = "auto") -> Engine:
    return Engine.load(model, slots=3, buckets=(1,), backend=backend, cache=cache)


@pytest.mark.parametrize("kind", [WrongNetwork, Deaf])
def test_a_backend_that_answers_wrongly_is_passed_over_and_named(
    kind: type[EagerNetwork],
    tiny_model: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(choice, "make_backend", lambda name, d: Eager(d) if name == "eager" else backend_of(kind)(d))
    engine = load(tiny_model[0], tmp_path)
    assert engine.backend == "eager"
    assert len(engine.fallbacks) == 1
    assert engine.fallbacks[0].startswith("openvino: self-check failed: zero_shot, bucket 1, slot")
    assert engine.fallbacks[0] in caplog.text
    with pytest.raises(EngineError, match="self-check failed"):
        load(tiny_model[0], tmp_path, "openvino")


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'visual-task-vectors\[openvino\]'"):
        make_backend("openvino", CPU)
    taken, found = choose("auto", CPU, lambda backend: backend.name)
    assert (taken, found.name) == ("eager", "eager")
    assert found.passed_over[0].startswith("openvino: openvino is missing")


def test_tensorrt_without_any_flavour_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(BackendUnavailable, match=r"\[tensorrt\].*\[tensorrt-rtx\]"):
        make_backend("tensorrt", torch.device("cuda"))


@pytest.mark.parametrize(("name", "device"), [("tensorrt", "cpu"), ("openvino", "cuda")])
def test_a_backend_for_another_device_says_so(name: str, device: str) -> None:
    with pytest.raises(BackendUnavailable, match=f"not on {device}"):
        make_backend(name, torch.device(device))


def test_eager_computes_in_float16_on_a_gpu_alone() -> None:
    assert make_backend("eager", torch.device("cuda")).dtype == torch.float16
    assert make_backend("eager", CPU).dtype == torch.float32


def test_float32_eager_computes_in_all_its_digits(
    tiny_model: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuDNN's convolutions would use TF32, which is farther from float32 than the tests on a GPU allow."""
    seen: list[tuple[bool, str]] = []
    forward = ZeroShot.forward

    def noting(self: ZeroShot, *given: torch.Tensor) -> torch.Tensor:
        seen.append((torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()))
        return forward(self, *given)

    monkeypatch.setattr(ZeroShot, "forward", noting)
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        engine = load(tiny_model[0], tmp_path, "eager")
        seen.clear()
        tile = np.zeros((1, engine.geometry.tile, engine.geometry.tile, 3), np.uint8)
        engine.zero_shot(tile, [0])
        engine.compiled.reference("zero_shot", tile)
        assert seen == [(False, "highest")] * 2
        assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (before[0], "high")
    finally:
        torch.set_float32_matmul_precision(before[1])


def test_a_backend_asked_for_is_the_only_one_tried() -> None:
    tried: list[str] = []

    def attempt(backend: object) -> None:
        tried.append(type(backend).__name__)
        raise RuntimeError("driver too old")

    with pytest.raises(EngineError, match="backend eager does not work here: driver too old"):
        choose("eager", CPU, attempt)
    assert tried == ["Eager"]
    with pytest.raises(EngineError, match=r"no backend works here: .*driver too old"):
        choose("auto", CPU, attempt)


def test_unknown_names_are_refused(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="choose one of auto, eager, inductor, openvino, tensorrt, torch_tensorrt"):
        load(tiny_model[0], tmp_path, "fastest")
    with pytest.raises(EngineError, match="runs on cpu or cuda, not on meta"):
        Engine.load(tiny_model[0], device="meta", backend="eager")
    with pytest.raises(EngineError, match="from 1 on, not 0"):
        Engine.load(tiny_model[0], buckets=(0, 1), backend="eager")
    with pytest.raises(EngineError, match=r"not in torch\.float64"):
        Engine.load(tiny_model[0], buckets=(1,), backend="eager", dtype=torch.float64)


def test_inductor_without_a_compiler_says_so(
    tiny_model: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"install g\+\+"):
        load(tiny_model[0], tmp_path, "inductor")
    assert list((tmp_path).iterdir()) == []


def test_slots_that_are_not_there_are_refused(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    engine = load(tiny_model[0], tmp_path, "eager")
    tile = np.zeros((1, engine.geometry.tile, engine.geometry.tile, 3), np.uint8)
    for slot in (-1, 3):
        with pytest.raises(EngineError, match=r"slots are 0\.\.2"):
            engine.zero_shot(tile, [slot])
    assert engine.model.config == TINY
