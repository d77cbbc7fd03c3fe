"""The one graph that OpenVINO and TensorRT compile: its inputs, its casts, and what it computes in float16."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.backends.onnx_export import OUTPUT, export
from engine.backends.onnx_graph import FILE
from engine.backends.tensorrt import OPSET
from engine.bank import Bank
from engine.errors import EngineError
from engine.network import OneShot, ZeroShot, buffers, in_dtype
from engine.program import Scope
from engine.tolerance import TOLERANCE, psnr
from tests.support import random_vector, tiny_network

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytestmark = pytest.mark.slow
FLOATS, INTEGERS = {1, 10, 11, 16}, {2, 3, 4, 5, 6, 7, 12, 13}
"""onnx.TensorProto types: float32, float16, float64, bfloat16; and (u)int8 to (u)int64."""


@pytest.fixture(scope="module")
def network() -> ZeroShot:
    torch.manual_seed(5)
    model = tiny_network().model
    return ZeroShot(in_dtype(model, torch.float16), Scope.ANSWER)


@pytest.fixture(scope="module")
def file(network: ZeroShot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zero-shot program in float16, as TensorRT is given it."""
    path = tmp_path_factory.mktemp("onnx") / FILE
    export(network, torch.float16, OPSET, path)
    return path


def test_the_bank_is_an_input_and_batch_and_slots_are_open(file: Path) -> None:
    graph = onnx.load(file, load_external_data=False).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.input
    }
    assert tuple(shapes) == ZeroShot.inputs
    assert shapes["pixels"] == ["batch", 112, 112, 3]
    assert shapes["slot"] == ["batch"]
    assert {shapes[name][1] for name in ZeroShot.inputs[2:6]} == {"slots"}
    types = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    assert [types[name] for name in ("pixels", "slot", "encoder_value", "encoder_mask")] == [2, 7, 10, 9]
    assert [value.name for value in graph.output] == [OUTPUT]
    assert {node.domain for node in graph.node} == {""}, "only standard operators"
    norms = sum(isinstance(module, torch.nn.GroupNorm) for module in tiny_network().model.vae.decoder.modules())
    assert sum(node.op_type == "GroupNormalization" for node in graph.node) == norms


def test_no_float_becomes_an_integer_but_the_painted_pixels(file: Path) -> None:
    graph = onnx.shape_inference.infer_shapes(onnx.load(file, load_external_data=False)).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input)}
    known |= {value.name: value.data_type for value in graph.initializer}
    casts = [node for node in graph.node if node.op_type == "Cast"]
    assert all(node.input[0] in known for node in casts)
    lossy = [node.output[0] for node in casts if known[node.input[0]] in FLOATS and node.attribute[0].i in INTEGERS]
    assert lossy == [OUTPUT]


def test_the_float16_graph_computes_what_eager_does(file: Path, network: ZeroShot) -> None:
    """Run in float32 by OpenVINO with the weights rounded to float16."""
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    bank = Bank(network.model.config.mae, network.model.program("zero_shot"), 4, torch.device("cpu"), torch.float16)
    for slot in (1, 2, 3):
        bank.write(slot, random_vector(network.model, "m", slot))
    own = buffers(network, 5, bank.tensors(), torch.device("cpu"))
    own.pixels.copy_(torch.randint(0, 256, own.pixels.shape, generator=torch.Generator().manual_seed(0)))
    assert own.slot is not None
    own.slot.copy_(torch.tensor([3, 0, 1, 1, 2]))
    with torch.inference_mode():
        wanted = network(*own.inputs).numpy()
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(dict(zip(ZeroShot.inputs, (t.numpy() for t in own.inputs), strict=True)))[0]
    least = TOLERANCE[torch.float16].psnr
    assert min(psnr(np.asarray(a), b) for a, b in zip(found, wanted, strict=True)) >= least


class Bessel(OneShot):
    """Something that ONNX has no operator for."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.special.bessel_j0(pixels[:, 1:112, 1:112].float()).to(torch.uint8)


def test_an_operator_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"one_shot cannot be exported: .*bessel_j0"):
        export(Bessel(tiny_network().model, Scope.ANSWER), torch.float32, OPSET, tmp_path / FILE)


def test_a_missing_exporter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.backends.onnx_export.find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install onnx onnxscript"):
        export(tiny_network(), torch.float32, OPSET, tmp_path / FILE)
