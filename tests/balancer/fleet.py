"""The store, three servers and HAProxy as processes on the machines of `network`. Used from the balancer's machine."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.balancer.network import SERVERS, STORE_ADDRESS, inside
from tests.object_storage.s3_server import BUCKET, environment
from tests.support import wait_until

CONFIG = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"
URL = "http://127.0.0.1:8080"
STORE = f"s3://{BUCKET}/store"
S3 = f"http://{STORE_ADDRESS}:9000"
STATISTICS = "127.0.0.1", 9999
"""Where HAProxy tells of itself."""
STALE_SECONDS = 3.0
"""VTV_STALE_SECONDS of the servers."""


class Fleet:
    """Everything starts when entered and ends when left; logs go to a folder."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._others: list[subprocess.Popen[bytes]] = []
        self._http = httpx.Client(timeout=1, trust_env=False)

    def __enter__(self) -> "Fleet":
        os.environ.update(environment(S3))
        self._run("s3", [sys.executable, "-m", "moto.server", "--host", STORE_ADDRESS, "--port", "9000"])
        wait_until(lambda: self._answers(f"{S3}/moto-api/", 200), "the store")
        self._http.put(f"{S3}/{BUCKET}", timeout=60).raise_for_status()
        return self

    def start(self) -> None:
        """Servers and the balancer, until all are ready."""
        for machine in SERVERS:
            self.start_server(machine)
        self._run("haproxy", ["haproxy", "-f", str(CONFIG)])
        for machine in SERVERS:
            self.wait_ready(machine)
        wait_until(lambda: self._answers(f"{URL}/readyz", 200), "the balancer")

    def start_server(self, machine: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("VTV_")}
        settings = {"HOST": SERVERS[machine], "STORE": STORE, "MODEL": str(self._model), "BACKEND": "eager"}
        settings |= {"DEVICE": "cpu", "ALLOW_UNAUTHENTICATED": "1", "CODEC_PROCESSES": "1", "ADMIN_KEY": "k"}
        settings |= {"STALE_SECONDS": str(STALE_SECONDS)}
        environ |= {f"VTV_{name}": value for name, value in settings.items()} | {"OMP_NUM_THREADS": "1"}
        with (self._folder / f"{machine}.log").open("ab") as log:
            command = inside(machine, sys.executable, "-m", "tests.balancer.server")
            self._servers[machine] = subprocess.Popen(command, env=environ, stderr=log)

    def wait_ready(self, machine: str) -> None:
        wait_until(lambda: self.ready(machine), f"{machine}'s readiness")

    def ready(self, machine: str) -> bool:
        """By its own word."""
        return self._answers(f"http://{SERVERS[machine]}:8000/readyz", 200)

    def kill(self, machine: str) -> None:
        """As a machine that loses power; its codec processes end with it."""
        self._servers[machine].kill()
        self._servers[machine].wait()

    def restart(self, machine: str) -> None:
        """Drain, end, start, and wait until it is ready."""
        self._servers[machine].send_signal(signal.SIGTERM)
        assert self._servers[machine].wait(60) == 0
        self.start_server(machine)
        self.wait_ready(machine)
        time.sleep(1.5)  # until the balancer's checks have seen it

    def slow(self, machine: str, seconds: float) -> None:
        """Stopped for four fifths of the time."""
        process, end = self._servers[machine], time.monotonic() + seconds
        while time.monotonic() < end:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    @contextmanager
    def store_halted(self) -> Iterator[None]:
        """It takes connections and answers nobody."""
        store = self._others[0]
        store.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            store.send_signal(signal.SIGCONT)

    def ready_by_balancer(self) -> int:
        """How many servers HAProxy's own checks find ready."""
        with socket.create_connection(STATISTICS, timeout=1) as asking:
            asking.sendall(b"show stat\n")
            lines = asking.makefile().read().removeprefix("# ").splitlines()
        [backend] = [row for row in csv.DictReader(lines) if (row["pxname"], row["svname"]) == ("servers", "BACKEND")]
        return int(backend["act"])

    def artifact(self, machine: str, task: str) -> str:
        """Which version a server serves now; empty where it does not answer. From any thread."""
        try:
            reply = self._http.get(f"http://{SERVERS[machine]}:8000/tasks/{task}")
            return str(reply.json().get("artifact", ""))
        except (httpx.HTTPError, ValueError):
            return ""

    def __exit__(self, *_: object) -> None:
        self._http.close()
        for process in (*self._servers.values(), *self._others):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in (*self._servers.values(), *self._others):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, command: list[str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._others.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _answers(self, url: str, status: int) -> bool:
        try:
            return self._http.get(url).status_code == status
        except httpx.HTTPError:
            return False
