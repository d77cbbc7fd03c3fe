"""`vtv build --ray`: the artifacts of one process bit for bit, and a machine that is lost costs little."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from artifacts.errors import OfflineError
from engine.checkpoint import load_model
from tests.cluster.conftest import WORKERS
from tests.cluster.work import refused, squared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("ray"),
    # Ray leaves its nodes' files and processes to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
TASKS = ("identity", "lowlight_enhance")


def test_a_worker_that_dies_costs_its_piece_alone(nodes: Any, tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    from artifacts.cluster import join
    from artifacts.pieces.cluster import Cluster

    join(nodes.address)
    cluster = Cluster(*load_model(tiny_model[0]))
    assert cluster.map(squared, (tmp_path,), range(40)) == [number**2 for number in range(40)]
    begun = {int(path.name): path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert {number: len(lines) for number, lines in begun.items()} == {n: 1 + (n == 2) for n in range(40)}
    models = {line for lines in begun.values() for line in lines}
    assert len(models) == len({line.split()[0] for line in models}), "a worker has one model for all its pieces"
    with pytest.raises(OfflineError, match="piece 0 of tiny is bad"):
        cluster.map(refused, (), [0, 1])


def build(model: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cli", "build", *(word for task in TASKS for word in ("--task", task))]
    command += ["--steps", "6", "--samples", "12", "--evaluate-every", "3", "--model", str(model)]
    command += ["--store", str(folder / "store"), "--work", str(folder / "work"), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def contents(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors, and what the file says of itself but for when it was made and how long it took."""
    with safe_open(path, "pt") as file:
        about = {name: value for name, value in file.metadata().items() if name not in ("created", "seconds")}
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def test_a_build_that_loses_a_machine_makes_the_artifacts_of_one_process(
    nodes: Any, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    """Two tasks at once; a node is killed when the first of them searches."""
    alone = build(tiny_model[0], tmp_path / "alone")
    assert alone.communicate()[1]
    together = build(tiny_model[0], tmp_path / "together", "--ray", nodes.address)
    told = ""
    assert together.stderr is not None
    with together.stderr as lines:
        for line in lines:
            told += line
            if "step 2/6" in line and len(nodes.worker_nodes) == WORKERS:
                nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
    assert (alone.returncode, together.wait()) == (0, 0), told
    assert len(nodes.worker_nodes) == WORKERS - 1
    for task in TASKS:
        for kind in ("means", "vector"):
            one, other = (contents(tmp_path / way / f"work/{task}.{kind}.safetensors") for way in ("alone", "together"))
            assert one[1] == other[1]
            assert one[0].keys() == other[0].keys()
            assert all(torch.equal(one[0][name], other[0][name]) for name in one[0]), (task, kind)


def test_a_cluster_that_is_not_there_is_named(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    done = build(tiny_model[0], tmp_path, "--ray", "127.0.0.1:1")
    told = done.communicate()[1]
    assert done.returncode == 2
    assert told.splitlines()[-1].startswith("vtv build: there is no Ray cluster at 127.0.0.1:1")
    assert "Traceback" not in told
