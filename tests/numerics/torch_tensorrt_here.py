"""torch-tensorrt's own export and converters on a machine without a GPU.

Its compiled libraries need CUDA's PyTorch and a driver: a private copy without them is loaded in its place. What it
asks of the device is answered as a GPU would. On a machine with a GPU nothing is changed.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch


@contextmanager
def torch_tensorrt_build(folder: Path) -> Iterator[ModuleType]:
    """`engine.backends.torch_tensorrt_build`; for tests that need torch-tensorrt-rtx."""
    spec = find_spec("torch_tensorrt")
    assert spec is not None
    assert spec.origin is not None
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            copied = folder / "torch_tensorrt"
            shutil.copytree(Path(spec.origin).parent, copied, ignore=shutil.ignore_patterns("*.so"))
            patch.syspath_prepend(folder)
            patch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
            patch.setattr(torch.cuda, "current_device", lambda: 0)
            patch.setattr(torch._C, "_CudaDeviceProperties", type("Properties", (), {}), raising=False)
        yield import_module("engine.backends.torch_tensorrt_build")
        for name in [name for name in sys.modules if name.partition(".")[0] == "tensorrt"]:
            del sys.modules[name]  # what stands for it would be taken for it
