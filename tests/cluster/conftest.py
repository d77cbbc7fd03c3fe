"""A Ray cluster of nodes on this machine, each with a processor for one worker."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WORKERS = 2
_SMALL = {"object_store_memory": 200 * 2**20}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ray's own `Cluster`: a head that computes nothing and WORKERS nodes."""
    import ray
    from ray.cluster_utils import Cluster

    # Workers import what this process does.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else workers stand still while others are busy on this machine
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **_SMALL})
    for _ in range(WORKERS):
        cluster.add_node(num_cpus=1, **_SMALL)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()
