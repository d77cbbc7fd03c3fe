"""Fixtures for every tier: a tiny model with random weights, a store of tasks for it, and a real server."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from artifacts.store.folder import Store
from engine.checkpoint import save_model
from engine.model import MaeVqgan
from engine.towers.folder import save_tower
from tests.support import ANSWERS, SERVE, TINY, ServerProcess, make_artifact, tiny_tower
from tests.tools import TOOLS

LONGEST = (
    "test_torch_tensorrt.py",
    "test_backends.py",
    "test_tutorial.py",
    "test_balancer.py",
    "test_workers.py",
    "test_gpu_day.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-tools", default="", metavar="A,B", help="fail tests for want of these tools instead of skipping"
    )


def pytest_configure() -> None:
    """One thread a process: more gain nothing on tiny tensors, and spin while the other processes want the core. No
    test fails because the machine is slow."""
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: one that starts last would keep one process busy and the others idle."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What `@pytest.mark.needs(TOOL)` does."""
    for mark in item.iter_markers("needs"):
        tool = TOOLS[mark.args[0]]
        if not tool.here:
            missing = f"{mark.args[0]} is not installed: {tool.command}"
            required = item.config.getoption("--require-tools").split(",")
            (pytest.fail if mark.args[0] in required else pytest.skip)(missing)


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
def tower_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny image tower's folder."""
    directory = tmp_path_factory.mktemp("tower")
    save_tower(tiny_tower(), directory)
    return directory


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled engines of this session, shared by its processes: a cache is made for that."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "engines"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


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


@contextmanager
def servers(command: Sequence[str] | None = None, **defaults: str) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers, and ends those that it started; `command` as `ServerProcess` has it."""
    started: list[ServerProcess] = []

    def start(command: Sequence[str] | None = command, **settings: str) -> ServerProcess:
        server = ServerProcess(command, **defaults | settings)
        started.append(server)
        server.wait_ready()
        return server

    yield start
    for server in started:
        server.process.terminate()
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def tiny_settings(tiny_model: tuple[Path, str], tiny_store: Path) -> dict[str, str]:
    """A server's settings with the tiny model."""
    return {"model": str(tiny_model[0]), "store": str(tiny_store), "device": "cpu", "backend": "eager"}


@pytest.fixture(scope="module")
def start_server(tiny_settings: dict[str, str]) -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers with the tiny model, unless told otherwise by VTV_ settings; ends them after the module."""
    with servers(**tiny_settings) as start:
        yield start


@pytest.fixture(scope="session")
def server(tiny_settings: dict[str, str]) -> Iterator[ServerProcess]:
    """One server for every test that leaves it as it was."""
    with servers(SERVE, **tiny_settings) as start:
        yield start()
