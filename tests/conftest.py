"""Fixtures for every tier: a tiny model with random weights, a store of tasks for it, and a real server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from artifacts.store.folder import Store
from engine.checkpoint import save_model
from engine.model import MaeVqgan
from tests.support import ANSWERS, TINY, ServerProcess, make_artifact


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model directory of the real architecture with random weights, and its fingerprint."""
    directory = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = MaeVqgan(TINY)
        with torch.no_grad():
            model.mae.mask_token.normal_()
    return directory, save_model(model, directory)


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled engines of this session."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory, tiny_model: tuple[Path, str]) -> Path:
    """A store of five tasks that fit the tiny model, each with other values and other answer settings."""
    directory = tmp_path_factory.mktemp("store")
    store = Store(directory / "store")
    for seed, task in enumerate(ANSWERS):
        path = directory / f"{task}.safetensors"
        make_artifact(path, task, tiny_model[1], seed)
        store.publish(path)
    return store.root


@pytest.fixture(scope="session")
def start_server(tiny_model: tuple[Path, str], tiny_store: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers with the tiny model, unless told otherwise by VTV_ settings; ends them at the end."""
    started: list[ServerProcess] = []

    def start(**settings: str) -> ServerProcess:
        defaults = {"model": str(tiny_model[0]), "store": str(tiny_store), "device": "cpu", "backend": "eager"}
        server = ServerProcess(**defaults | settings)
        started.append(server)
        server.wait_ready()
        return server

    yield start
    for server in started:
        server.process.terminate()
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One server for every test that leaves it as it was."""
    return start_server()
