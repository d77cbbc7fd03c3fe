"""Machines that are network namespaces, all on one bridge: addresses 10.77.0.x, reachable from none but each other."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

RUN: Final = os.environ.setdefault("BALANCER_RUN", str(os.getpid()))
"""Of this process and those that it starts, so that several runs have networks of their own."""
BALANCER: Final = f"vtv-{RUN}"
"""Where the bridge is, HAProxy, the store and the clients: 10.77.0.1."""
ADDRESS: Final = "10.77.0.1"
STORE_ADDRESS: Final = "10.77.0.2"
"""The store's own, on the same machine, so that it can be hidden."""
SERVERS: Final = {f"vtv-{RUN}-{letter}": f"10.77.0.{number}" for number, letter in enumerate("abc", start=11)}


def inside(machine: str, *command: str) -> list[str]:
    """The command that runs one on a machine."""
    return ["ip", "netns", "exec", machine, *command]


def on_balancer(module: str, *words: str) -> dict[str, Any]:
    """What a module prints there, called with `inside`, a folder that is its own, and these words."""
    with tempfile.TemporaryDirectory(prefix="vtv-chaos-") as folder:
        command = inside(BALANCER, sys.executable, "-m", module, "inside", folder, *words)
        report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return report


def may_make_networks() -> bool:
    """Whether this process may; a container's root often may not."""
    if sys.platform != "linux":
        return False
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], stderr=subprocess.DEVNULL, check=False)
    return tried.returncode == 0


class Network:
    """Made when entered, taken away with all that runs in it when left."""

    def __enter__(self) -> "Network":
        for machine in (BALANCER, *SERVERS):
            _ip("netns", "add", machine)
            _ip("-n", machine, "link", "set", "lo", "up")
        _ip("-n", BALANCER, "link", "add", "bridge", "type", "bridge")
        for address in (ADDRESS, STORE_ADDRESS):
            _ip("-n", BALANCER, "addr", "add", f"{address}/24", "dev", "bridge")
        _ip("-n", BALANCER, "link", "set", "bridge", "up")
        for machine, address in SERVERS.items():
            port = _port(machine)
            _ip("link", "add", port, "netns", BALANCER, "type", "veth", "peer", "name", "eth0", "netns", machine)
            _ip("-n", BALANCER, "link", "set", port, "master", "bridge", "up")
            _ip("-n", machine, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", machine, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @staticmethod
    @contextmanager
    def cut_off(machine: str) -> Iterator[None]:
        """Without its cable: packets vanish, nobody is told."""
        _ip("-n", BALANCER, "link", "set", _port(machine), "nomaster")
        yield
        _ip("-n", BALANCER, "link", "set", _port(machine), "master", "bridge")

    @staticmethod
    @contextmanager
    def store_hidden(machine: str) -> Iterator[None]:
        """From one machine, which everyone else still reaches."""
        _ip("-n", machine, "route", "add", "blackhole", STORE_ADDRESS)
        yield
        _ip("-n", machine, "route", "del", "blackhole", STORE_ADDRESS)

    @staticmethod
    def _remove() -> None:
        for machine in (BALANCER, *SERVERS):
            subprocess.run(["ip", "netns", "del", machine], stderr=subprocess.DEVNULL, check=False)


def _port(machine: str) -> str:
    return f"to-{machine[-1]}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
