"""TorchInductor, ahead of time: one package per bucket, for its exact shapes, sharing one copy of the weights.

Packages are compiled once and cached; loading one takes milliseconds, and nothing can be compiled while serving.
"""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from engine.backends.protocol import BackendUnavailable, Launch
from engine.cache import EngineCache, Key
from engine.network import Buffers, Network

FILE: Final = "network.pt2"
_OPTIONS: Final = {"aot_inductor.package_constants_in_so": False}


class Inductor:
    """float16 on a GPU, float32 on the CPU."""

    name = "inductor"
    version = f"torch {torch.__version__}"
    lowers_itself = False

    def __init__(self, device: torch.device) -> None:
        self.dtype = torch.float16 if device.type == "cuda" else torch.float32

    def compile(self, network: Network, buckets: tuple[int, ...], key: Key, cache: EngineCache) -> "InductorNetwork":
        """Packages are compiled as buckets are bound: about a minute each where they are not cached."""
        return InductorNetwork(network, key, cache)


class InductorNetwork:
    """A network and where its packages lie."""

    def __init__(self, network: Network, key: Key, cache: EngineCache) -> None:
        self.network, self.key, self.cache = network, key, cache
        self.weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}

    def bind(self, buffers: Buffers) -> Launch:
        key = replace(self.key, buckets=(buffers.bucket,))
        package = self.cache.load(key, lambda folder: self._build(folder, buffers), _load)
        wanted = package.get_constant_fqns()
        package.load_constants({name: self.weights[name] for name in wanted}, check_full_update=True, user_managed=True)

        @torch.inference_mode()
        def launch() -> None:
            buffers.output.copy_(package(*buffers.inputs))

        return launch

    def _build(self, folder: Path, buffers: Buffers) -> None:
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            raise BackendUnavailable("inductor needs a C++ compiler: install g++")
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the compiler's own internals
            program = torch.export.export(self.network, buffers.inputs)
            torch._inductor.aoti_compile_and_package(
                program, package_path=str(folder / FILE), inductor_configs=dict(_OPTIONS)
            )


def _load(folder: Path) -> Any:
    # One thread owns the engine; the package's own synchronisation cannot be captured in a CUDA graph.
    return torch._inductor.aoti_load_package(str(folder / FILE), run_single_threaded=True)
