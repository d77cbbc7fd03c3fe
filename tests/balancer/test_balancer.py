"""deploy/haproxy in use: machines fail, tasks are published, and no client is told anything wrong."""

import subprocess
from pathlib import Path

import pytest

from tests.balancer import stale
from tests.balancer.fleet import STALE_SECONDS
from tests.balancer.network import may_make_networks
from tests.balancer.run import PUBLISHES, main

CONFIG = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"


@pytest.mark.needs("haproxy")
def test_the_configuration_is_understood() -> None:
    ended = subprocess.run(["haproxy", "-c", "-f", CONFIG], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stderr
    servers = [line for line in CONFIG.read_text().splitlines() if line.startswith("    server ")]
    assert servers
    assert servers[: len(servers) // 2] == servers[len(servers) // 2 :], "both backends have the same servers"
    assert all(line.endswith("tcp-ut 1s") for line in servers), "HAProxy 2.6 does not take it from default-server"


makes_networks = pytest.mark.skipif(not may_make_networks(), reason="makes network namespaces, which takes root")


@pytest.mark.slow
@pytest.mark.needs("haproxy")
@makes_networks
def test_nothing_is_lost_or_mixed_up_while_machines_fail() -> None:
    """A short run; `make chaos` is the long one."""
    told = main(1.5)
    assert told["wrong"] == 0
    assert told["all_retriable"], told
    assert told["error_share"] < 0.01, told
    assert told["publishes"] == PUBLISHES
    assert told["versions"] > PUBLISHES // 2
    assert told["everywhere_after_seconds"] < 5
    assert len(told["events"]) == 7


@pytest.mark.slow
@pytest.mark.needs("haproxy")
@makes_networks
def test_answers_are_never_older_than_docs_scale_says() -> None:
    """However a server loses sight of the store; and where all do, they go on answering."""
    told = stale.main()
    assert [trouble["failed"] for trouble in told.values()] == [0] * 5, told
    looks_and_checks = 2.0
    assert max(trouble["oldest_seconds"] for trouble in told.values()) <= STALE_SECONDS + looks_and_checks, told
    assert told["cut for 8 s"]["old_answers"] == 0, told
    assert told["store halted for 10 s"]["ready"] == 0, told
