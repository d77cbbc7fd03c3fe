"""torch-tensorrt: PyTorch's own export of a network, converted whole into one TensorRT (or TensorRT-RTX) engine.

One engine holds all buckets of a program, each with a profile of its own. An engine for every bucket would have the
weights on the device nine times (ViT-L, zero-shot: 0.78 GB for one bucket, 0.92 GB for all nine in one engine); one
profile for a range of batches would have its kernels chosen for one of them.
"""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import torch

from engine.backends.protocol import BackendUnavailable
from engine.backends.tensorrt_runtime import FILE, TensorRtNetwork, TensorRtRuntime, load_tensorrt
from engine.cache import EngineCache, Key
from engine.errors import EngineError
from engine.network import Network

_FLAVOURS: Final = {"torch-tensorrt-rtx": "tensorrt_rtx", "torch-tensorrt": "tensorrt"}
"""Distributions of the one package, and the library each is made for. Where both are installed, it takes the first."""
_RIGHT_IN_BFLOAT16: Final = (2, 14)


class TorchTensorRt:
    """float16 by strong typing. The package is loaded only to build: a cached engine needs TensorRT alone."""

    name = "torch_tensorrt"
    dtype = torch.float16
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise BackendUnavailable(f"torch_tensorrt runs on a GPU, not on {device}")
        self._release, flavour = installed()
        trt, _ = load_tensorrt((flavour,))
        self.version = f"torch_tensorrt {self._release}, {flavour} {trt.__version__}"
        self._runtime = TensorRtRuntime(trt, device)

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> TensorRtNetwork:
        """Minutes where the engine is not cached."""
        check_type(self._release, key.dtype)

        def build(folder: Path) -> None:
            from engine.backends.torch_tensorrt_build import build_engine

            (folder / FILE).write_bytes(build_engine(network, key, self._runtime.device.index or 0))

        return self._runtime.network(cache.load(key, build, self._runtime.read), network.inputs, buckets)


def installed() -> tuple[str, str]:
    """The release of torch-tensorrt that is here and the TensorRT it is made for; raises BackendUnavailable."""
    for distribution, flavour in _FLAVOURS.items():
        try:
            return version(distribution), flavour
        except PackageNotFoundError:
            continue
    raise BackendUnavailable(
        "torch-tensorrt is missing: pip install 'visual-task-vectors[torch-tensorrt]' (or [torch-tensorrt-rtx])"
    )


def check_type(release: str, dtype: str) -> None:
    """Raises EngineError for what a release converts wrongly: bfloat16 selections, before 2.14, as integers."""
    numbers = tuple(int(part) for part in release.split(".")[:2])
    if dtype == "bfloat16" and numbers < _RIGHT_IN_BFLOAT16:
        raise EngineError(f"torch-tensorrt {release} converts bfloat16 wrongly: compute in float16, or install 2.14")
