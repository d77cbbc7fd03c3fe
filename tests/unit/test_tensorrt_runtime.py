"""TensorRT's launches, as they are written, over contexts that refuse what the documentation forbids."""

import gc
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.backends.tensorrt_runtime import Scratch, TensorRtNetwork, load_tensorrt
from engine.cuda_graphs import GraphRunner
from engine.errors import EngineError
from engine.network import ZeroShot
from engine.program import Scope
from engine.staging import Staging
from tests.fake_cuda import tensorrt as fake_trt
from tests.fake_cuda.device import CaptureError, FakeCuda
from tests.fake_cuda.memory import IllegalAccess
from tests.support import tiny_network

BUCKETS, SLOTS = (1, 2, 4), 4


class Small(ZeroShot):
    """The zero-shot program's shapes with one number for each slot."""

    inputs = ("pixels", "slot", "bank")


def paint(pixels: Tensor, slot: Tensor, bank: Tensor) -> Tensor:
    colour = pixels[:, 0, 0, 0] + bank[slot]
    return colour[:, None, None, None].expand(-1, 111, 111, 3)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    made = FakeCuda(2)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: fake_trt.FakeStream(made))
    return made


def runner(device: FakeCuda) -> tuple[GraphRunner, fake_trt.FakeEngine, Tensor]:
    network = Small(tiny_network().model, Scope.ANSWER)
    engine = fake_trt.FakeEngine(device, paint, network.inputs, BUCKETS)
    with device.current():
        bank, scratch = torch.zeros(SLOTS), Scratch(device.device)
    compiled = TensorRtNetwork(fake_trt, engine, network.inputs, BUCKETS, scratch)
    made = GraphRunner(network, compiled, BUCKETS, (bank,), device)
    made.prepare()
    return made, engine, bank


def test_replays_answer_in_uint8_with_everything_they_need_alive(device: FakeCuda) -> None:
    subject, engine, bank = runner(device)
    gc.collect()
    assert all(context() is not None for context in engine.contexts)
    staging = Staging(device, 4, 1)
    for slot in (1, 2, 3):
        staging.copy([(bank[slot : slot + 1], torch.tensor([10.0 * slot]))])
    for values, slots in (([5], [1]), ([1, 2, 3], [3, 0, 2]), ([9, 9], [0, 1])):
        pixels = np.zeros((len(values), 112, 112, 3), np.uint8)
        pixels[:, 0, 0, 0] = values
        found = subject.submit(pixels, slots).result()
        assert found.dtype == np.uint8
        assert found[:, 0, 0, 0].tolist() == [v + 10 * s for v, s in zip(values, slots, strict=True)]
        assert (found == found[:, :1, :1, :1]).all()


def test_contexts_share_one_scratch_memory(device: FakeCuda) -> None:
    subject, _, _ = runner(device)
    addresses = {graph.launch.memory.data_ptr() for graph in subject._graphs.values()}  # type: ignore[attr-defined]
    assert len(addresses) == 1, "the largest bucket comes first, and the others fit in"


def test_a_context_that_cannot_be_captured_is_refused(device: FakeCuda) -> None:
    subject, engine, _ = runner(device)
    engine.capturable = False
    again = GraphRunner(subject.network, subject.compiled, BUCKETS, subject.bank, device)
    with pytest.raises(EngineError, match="cannot be captured for bucket 4"):
        again.prepare()


def test_an_engine_of_other_inputs_is_refused(device: FakeCuda) -> None:
    engine = fake_trt.FakeEngine(device, paint, ("pixels", "slot"), BUCKETS)
    with pytest.raises(EngineError, match=r"not \('pixels', 'slot', 'bank'\)"):
        TensorRtNetwork(fake_trt, engine, Small.inputs, BUCKETS, Scratch(device.device))


def test_memory_that_nobody_holds_is_seen(device: FakeCuda) -> None:
    """What would happen were the launch not kept."""
    subject, engine, _ = runner(device)
    context = engine.contexts[-1]()
    assert context is not None
    device.run(lambda: context.execute_async_v3(7) and None)
    del subject
    gc.collect()
    with pytest.raises((IllegalAccess, CaptureError)):
        device.synchronize()


def test_what_stands_for_tensorrt_is_seen_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-tensorrt lets its own module stand for `tensorrt`, which then is TensorRT-RTX."""
    real = SimpleNamespace(__name__="tensorrt_rtx", __version__="1.5")
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(_target_module=real))  # type: ignore[arg-type]
    assert load_tensorrt() == (real, "tensorrt_rtx")
