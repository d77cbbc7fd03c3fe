"""What can be known of torch-tensorrt's engines without a GPU: they are whole, and their graph computes as eager does.

TensorRT-RTX builds without a driver; the standard TensorRT does not, and is tested with a GPU.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.backends.choice import make_backend
from engine.backends.protocol import BackendUnavailable
from engine.backends.tensorrt_runtime import load_tensorrt
from engine.backends.torch_tensorrt import check_type, installed
from engine.cache import Key
from engine.errors import EngineError
from engine.network import Network, OneShot, ZeroShot, examples, in_dtype
from engine.operators import native_operators
from engine.program import Scope
from tests.numerics.torch_tensorrt_here import torch_tensorrt_build
from tests.support import TINY, tiny_network

SLOTS, BUCKETS = 8, (1, 2, 5)
BLOCKS = TINY.mae.depth + TINY.mae.decoder_depth
needed = pytest.mark.needs("torch-tensorrt-rtx")
HALF = [pytest.param(kind, torch.float16, marks=pytest.mark.slow) for kind in (ZeroShot, OneShot)]
ALL = [*HALF, *(pytest.param(kind, torch.float32, marks=pytest.mark.slow) for kind in (ZeroShot, OneShot))]


@dataclass
class Seen:
    """What the package made on the way to an engine."""

    lowered: torch.fx.GraphModule
    engines: int = 0
    inputs: tuple[tuple[str, Any], ...] = ()
    layers: tuple[tuple[Any, ...], ...] = ()
    """(type, type of its first input's values, of its first output's)."""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with torch_tensorrt_build(tmp_path_factory.mktemp("torch_tensorrt")) as module:
        yield module


def network(kind: type[ZeroShot] | type[OneShot], dtype: torch.dtype) -> Network:
    torch.manual_seed(3)
    return kind(in_dtype(tiny_network().model, dtype), Scope.ANSWER)


def key(of: Network, buckets: tuple[int, ...] = BUCKETS) -> Key:
    return Key("m", of.name, "answer", str(of.dtype)[6:], SLOTS, buckets, "torch_tensorrt", "0", "none")


@pytest.fixture(scope="module")
def see(build: ModuleType) -> Callable[[Network], Seen]:
    """Everything but the engine itself, made once for each network."""
    made: dict[str, Seen] = {}

    def seen(of: Network) -> Seen:
        return made.get(key(of).digest) or made.setdefault(key(of).digest, _see(build, of))

    return seen


class NoEngine(Exception):
    """Nothing is built."""


def _see(build: ModuleType, of: Network) -> Seen:
    found = Seen(torch.fx.GraphModule({}, torch.fx.Graph()))

    def stop(interpreter: Any, *_: Any) -> None:
        assert not interpreter.validate_conversion(), "every operator is converted"
        interpreter._construct_trt_network_def()
        build.check_whole(interpreter.ctx, interpreter._input_names)
        net = interpreter.ctx.net
        found.lowered, found.engines = interpreter.module, found.engines + 1
        found.inputs = tuple((net.get_input(i).name, net.get_input(i).dtype) for i in range(net.num_inputs))
        layers = [net.get_layer(i) for i in range(net.num_layers)]
        found.layers = tuple(
            (layer.type, layer.get_input(0).dtype, layer.get_output(0).dtype)
            for layer in layers
            if layer.num_inputs and layer.get_input(0) is not None
        )
        raise NoEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build._Interpreter, "run", stop)
        with pytest.raises(EngineError, match="NoEngine"):
            build.build_engine(of, key(of), 0)
    return found


@needed
@pytest.mark.parametrize(("kind", "dtype"), ALL)
def test_the_lowered_graph_computes_what_eager_does(
    see: Callable[[Network], Seen], kind: type[ZeroShot], dtype: torch.dtype
) -> None:
    subject = network(kind, dtype).with_output(torch.float32)
    lowered = see(subject).lowered
    given = list(examples(subject, 4, SLOTS, dtype, torch.device("cpu")))
    torch.manual_seed(0)
    given[0].random_(0, 256)
    for tensor in given[2:]:
        tensor.copy_(torch.randn(tensor.shape) > 0 if tensor.dtype == torch.bool else torch.randn(tensor.shape).abs())
    if len(given) > 1:
        given[1].copy_(torch.tensor([0, 3, 7, 3]))
    with torch.inference_mode(), native_operators():
        wanted = subject(*given)
        found = lowered(*given)
    assert wanted.dtype == torch.float32
    # Whole numbers: one beside the other where a last digit decides how a value is rounded.
    assert float((found - wanted).abs().max()) <= 1
    assert float((found != wanted).float().mean()) < (1e-3 if dtype == torch.float32 else 0.25)


@needed
@pytest.mark.parametrize(("kind", "dtype"), HALF)
def test_the_program_is_one_engine_whose_inputs_are_the_bank(
    see: Callable[[Network], Seen], kind: type[ZeroShot], dtype: torch.dtype
) -> None:
    trt, _ = load_tensorrt()
    subject = network(kind, dtype)
    made = see(subject)
    assert made.engines == 1
    types = {
        "pixels": trt.uint8,
        "slot": trt.int64,
        "encoder_value": trt.float16,
        "encoder_mask": trt.bool,
        "decoder_value": trt.float16,
        "decoder_mask": trt.bool,
        "temperature": trt.float32,
    }
    assert made.inputs == tuple((name, types[name]) for name in subject.inputs)
    floats, integers = {trt.float32, trt.float16, trt.bfloat16}, {trt.uint8, trt.int8, trt.int32, trt.int64}
    casts = [layer for layer in made.layers if layer[0] == trt.LayerType.CAST]
    assert casts
    assert not [cast for cast in casts if cast[1] in floats and cast[2] in integers]
    attention = [layer for layer in made.layers if layer[0] == trt.LayerType.ATTENTION_INPUT]
    assert len(attention) == BLOCKS, "attention is the library's own"


@needed
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), [(ZeroShot, torch.float16), (OneShot, torch.float32)])
def test_an_engine_is_built_with_a_profile_for_every_bucket(
    build: ModuleType, kind: type[ZeroShot], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []

    def counted(builder: Any, config: Any, net: Any, of: Key) -> None:
        profiles(builder, config, net, of)
        added.append(config.num_optimization_profiles)

    profiles = build.add_profiles
    monkeypatch.setattr(build, "add_profiles", counted)
    subject = network(kind, dtype)
    assert len(build.build_engine(subject, key(subject), 0)) > 100_000
    assert added == [len(BUCKETS)]


@needed
@pytest.mark.slow
def test_the_published_size_is_built_within_8_gib() -> None:
    """In a process of its own, whose memory it is."""
    command = [sys.executable, "-m", "tests.numerics.large_engine", "zero_shot", "answer", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    took = json.loads(ended.stdout.splitlines()[-1])
    assert 600e6 < took["engine_bytes"] < 1e9, "one engine with all of the weights"
    assert took["peak_bytes"] < 8 * 2**30


class Bessel(OneShot):
    """Something that the package has no converter for."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.special.bessel_j0(pixels[:, 1:112, 1:112].float())


@needed
def test_what_cannot_be_converted_is_named(build: ModuleType) -> None:
    subject = Bessel(tiny_network().model, Scope.ANSWER)
    with pytest.raises(EngineError, match=r"cannot build one_shot: .*bessel_j0"):
        build.build_engine(subject, key(subject), 0)


def test_bfloat16_is_refused_where_it_is_converted_wrongly() -> None:
    with pytest.raises(EngineError, match="converts bfloat16 wrongly"):
        check_type("2.13.0", "bfloat16")
    check_type("2.14.0", "bfloat16")
    check_type("2.13.0", "float16")


def test_a_missing_package_is_named_with_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.backends.torch_tensorrt._FLAVOURS", {"no-such-distribution": "tensorrt"})
    with pytest.raises(BackendUnavailable, match=r"\[torch-tensorrt\].*\[torch-tensorrt-rtx\]"):
        installed()
    with pytest.raises(BackendUnavailable, match="not on cpu"):
        make_backend("torch_tensorrt", torch.device("cpu"))


def test_a_key_differs_where_an_engine_would() -> None:
    of = key(network(ZeroShot, torch.float16))
    assert of.digest != replace(of, version="torch_tensorrt 2.13.0, tensorrt_rtx 1.5.0.114").digest
