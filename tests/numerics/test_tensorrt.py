"""What can be known of TensorRT engines without a GPU: they build, whole, with the bank as inputs.

TensorRT-RTX builds without a driver; the standard TensorRT does not, and is tested with a GPU.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.backends.onnx_export import export
from engine.backends.onnx_graph import FILE
from engine.backends.tensorrt import OPSET
from engine.backends.tensorrt_build import build_engine, parse
from engine.backends.tensorrt_runtime import load_tensorrt
from engine.cache import Key
from engine.errors import EngineError
from engine.network import OneShot, ZeroShot, in_dtype
from engine.program import Scope
from tests.support import tiny_network
from tests.tools import TOOLS

pytestmark = [pytest.mark.needs("torch-tensorrt-rtx"), pytest.mark.slow]
trt: Any = import_module("tensorrt_rtx") if TOOLS["torch-tensorrt-rtx"].here else None
BUCKETS, SLOTS = (1, 4), 64


@pytest.fixture(scope="module")
def logger() -> Any:
    return trt.Logger(trt.Logger.ERROR)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The zero-shot program in float16 and float32, and one-shot in float16."""
    model, root = tiny_network().model, tmp_path_factory.mktemp("tensorrt")
    wanted = {
        "float16": ZeroShot(in_dtype(model, torch.float16), Scope.ANSWER),
        "float32": ZeroShot(model, Scope.ANSWER),
        "one_shot": OneShot(in_dtype(model, torch.float16), Scope.ANSWER),
    }
    for name, network in wanted.items():
        export(network, network.model.vae.codebook.dtype, OPSET, root / f"{name}.onnx")
    return {name: root / f"{name}.onnx" for name in wanted}


def key(program: str, dtype: str) -> Key:
    return Key("m", program, "answer", dtype, SLOTS, BUCKETS, "tensorrt", trt.__version__, "none")


def test_the_whole_program_is_one_network_with_the_bank_as_inputs(files: dict[str, Path], logger: Any) -> None:
    network = parse(trt, trt.Builder(logger), logger, files["float16"])
    inputs = {network.get_input(i).name: network.get_input(i) for i in range(network.num_inputs)}
    assert tuple(inputs) == ZeroShot.inputs
    types = [inputs[name].dtype for name in ("pixels", "slot", "encoder_value", "encoder_mask", "temperature")]
    assert types == [trt.uint8, trt.int64, trt.float16, trt.bool, trt.float32]
    assert [network.get_output(i).dtype for i in range(network.num_outputs)] == [trt.uint8]
    floats, integers = {trt.float32, trt.float16, trt.bfloat16}, {trt.uint8, trt.int8, trt.int32, trt.int64}
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    lossy = [
        layer.get_output(0).name
        for layer in layers
        if layer.type == trt.LayerType.CAST
        and layer.get_input(0).dtype in floats
        and layer.get_output(0).dtype in integers
    ]
    assert len(lossy) == 1, "only the painted pixels"


@pytest.mark.parametrize(
    ("name", "program", "dtype"),
    [("float16", "zero_shot", "float16"), ("float32", "zero_shot", "float32"), ("one_shot", "one_shot", "float16")],
)
def test_an_engine_builds_with_a_profile_for_each_bucket(
    files: dict[str, Path], logger: Any, name: str, program: str, dtype: str
) -> None:
    assert build_engine(trt, logger, files[name], key(program, dtype)).nbytes > 100_000


def test_a_node_that_tensorrt_does_not_know_is_named(tmp_path: Path, logger: Any) -> None:
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Unheard", ["x"], ["y"], name="the_node", domain="nowhere")
    ends = [helper.make_tensor_value_info(name, floats, [1]) for name in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / FILE)
    with pytest.raises(EngineError, match=r"Unheard \(the_node\)"):
        parse(trt, trt.Builder(logger), logger, tmp_path / FILE)


def test_the_installed_flavour_is_found() -> None:
    module, flavour = load_tensorrt()
    assert flavour in ("tensorrt", "tensorrt_rtx")
    assert module.__version__
