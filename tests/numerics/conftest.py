"""Engines of the tiny model in every backend that loads here; compiled once in a session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.backends.choice import BACKENDS, make_backend
from engine.backends.protocol import Backend, BackendUnavailable
from engine.runtime import Engine

LOADABLE = [name for name in BACKENDS if name != "auto"]
GetEngine = Callable[[str], Engine]


def backend_or_skip(name: str) -> Backend:
    """Skips with the backend's own reason."""
    try:
        return make_backend(name, torch.device("cpu"))
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled engines of this session."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def engine_of(tiny_model: tuple[Path, str], engine_cache: Path) -> GetEngine:
    """The tiny model's engine with some backend; skips where that cannot load."""

    @cache
    def make(name: str) -> Engine:
        backend_or_skip(name)
        buckets = (4,) if name == "inductor" else (2, 4)  # it compiles for half a minute each
        return Engine.load(tiny_model[0], slots=6, buckets=buckets, backend=name, cache=engine_cache)

    return make


@pytest.fixture(params=LOADABLE)
def engine(request: pytest.FixtureRequest, engine_of: GetEngine) -> Engine:
    """One after the other."""
    return engine_of(request.param)
