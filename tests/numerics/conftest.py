"""Engines of the tiny model in every backend that loads here; compiled once in a session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.backends.choice import make_backend
from engine.backends.protocol import Backend, BackendUnavailable
from engine.runtime import Engine

ON_CPU = ("eager", "inductor", "openvino")
COMPILED_HERE = ("inductor", "openvino")
"""Each bucket takes seconds at least, so one is compiled and its tests are slow."""
ON_GPU = ("eager:float32", "eager", "inductor", "tensorrt", "torch_tensorrt")
GetEngine = Callable[..., Engine]


def backend_or_skip(name: str, device: str = "cpu") -> Backend:
    """Skips with the backend's own reason."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    try:
        return make_backend(name, torch.device(device))
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def engine_of(tiny_model: tuple[Path, str], engine_cache: Path) -> GetEngine:
    """The tiny model's engine, by BACKEND or BACKEND:DTYPE and device; skips where that cannot load."""

    @cache
    def make(name: str, device: str = "cpu") -> Engine:
        backend, _, dtype = name.partition(":")
        backend_or_skip(backend, device)
        return Engine.load(
            tiny_model[0],
            slots=6,
            buckets=(4,) if backend in COMPILED_HERE else (2, 4),
            backend=backend,
            device=device,
            dtype=getattr(torch, dtype) if dtype else None,
            cache=engine_cache,
        )

    return make


@pytest.fixture(
    params=[
        *(pytest.param((name, "cpu"), marks=pytest.mark.slow if name in COMPILED_HERE else ()) for name in ON_CPU),
        *(pytest.param((name, "cuda"), marks=pytest.mark.gpu) for name in ON_GPU),
    ],
    ids="-".join,
)
def engine(request: pytest.FixtureRequest, engine_of: GetEngine) -> Engine:
    """One after the other."""
    return engine_of(*request.param)
