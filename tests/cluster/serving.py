"""deploy/ray_serve as a process on this machine, and for comparison plain servers behind deploy/haproxy.

    python -m tests.cluster.serving SECONDS

compares the two, in turns: a tiny model, so that what is around it is most of the time. Prints one JSON object.
"""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch

from artifacts.store.open import open_store
from benchmarks.connection import Connection
from benchmarks.traffic import raw_request
from engine.checkpoint import save_model
from engine.model import MaeVqgan
from tests.support import SERVE, TINY, make_artifact, photo, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
REPLICAS = 2
TURNS = 3


def settings(model: Path, store: Path) -> dict[str, str]:
    """The environment of each server."""
    named = {"MODEL": str(model), "STORE": str(store), "BACKEND": "eager", "DEVICE": "cpu", "CODEC_PROCESSES": "1"}
    environ = {f"VTV_{name}": value for name, value in (named | {"ALLOW_UNAUTHENTICATED": "1"}).items()}
    return os.environ | environ | {"OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def status(url: str) -> int:
    """0 where nobody answers."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


@contextmanager
def process(command: list[str], environ: dict[str, str], log: Path) -> Iterator[None]:
    """Runs, and is interrupted in the end."""
    with log.open("wb") as file:
        running = subprocess.Popen(command, env=environ, stdout=file, stderr=file, start_new_session=True)
    try:
        yield
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(60)


@contextmanager
def ray_serve(model: Path, store: Path, folder: Path) -> Iterator[str]:
    """The address of REPLICAS replicas; the log goes to a folder."""
    port = free_port()
    config = folder / "serve.yaml"
    config.write_text((DEPLOY / "ray_serve/serve.yaml").read_text().replace("port: 8000", f"port: {port}"))
    environ = settings(model, store) | {"PYTHONPATH": str(Path.cwd()), "RAY_worker_niceness": "0"}
    environ |= {"RAY_ADDRESS": "local", "RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": REPLICAS})}
    command = [sys.executable, "-c", "from ray.serve.scripts import cli; cli()", "run", str(config)]
    with process(command, environ, folder / "serve.log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: status(f"{url}/readyz") == httpx.codes.OK, "Ray Serve")
        yield url


@contextmanager
def haproxy(model: Path, store: Path, folder: Path) -> Iterator[str]:
    """The address of HAProxy before REPLICAS plain servers."""
    front, ports = free_port(), [free_port() for _ in range(REPLICAS)]
    text = (DEPLOY / "haproxy/haproxy.cfg").read_text().replace("bind :8080", f"bind 127.0.0.1:{front}")
    text = re.sub(r"^    (server [abc] .*|stats socket .*)$\n?", "", text, flags=re.MULTILINE)
    config = folder / "haproxy.cfg"
    config.write_text(text + "".join(f"\n    server s{port} 127.0.0.1:{port}" for port in ports) + "\n")
    environ = settings(model, store)
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(process([*SERVE, "--port", str(port)], environ, folder / f"{port}.log"))
        stack.enter_context(process(["haproxy", "-f", str(config)], environ, folder / "haproxy.log"))
        for url in (f"http://127.0.0.1:{port}/readyz" for port in (*ports, front)):
            wait_until(lambda url=url: status(url) == httpx.codes.OK, url)  # type: ignore[misc]
        yield f"http://127.0.0.1:{front}"


async def load(url: str, clients: int, seconds: float) -> list[float]:
    """Seconds of each answer to clients that ask as soon as they are answered."""
    request, found, end = raw_request(url, "/infer?task=identity", photo(seed=1)), list[float](), [0.0]

    async def client() -> None:
        connection = await Connection.to(url)
        for count in range(1_000_000):
            started = time.perf_counter()
            code, _ = await connection.ask(request)
            assert code == httpx.codes.OK, connection.body[:200]
            if count:
                found.append(time.perf_counter() - started)
            if time.perf_counter() > end[0]:
                return

    end[0] = time.perf_counter() + seconds
    await asyncio.gather(*(client() for _ in range(clients)))
    return sorted(found)


def main(seconds: float) -> dict[str, Any]:
    """Both at once are there, and are asked in turns."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        torch.manual_seed(7)
        fingerprint = save_model(MaeVqgan(TINY), folder / "model")
        make_artifact(folder / "made", "identity", fingerprint, 1)
        open_store(folder / "store").publish(folder / "made")
        urls = {
            way.__name__: stack.enter_context(way(folder / "model", folder / "store", folder))
            for way in (haproxy, ray_serve)
        }
        for _ in range(TURNS):
            for way, url in urls.items():
                for clients in (1, 8):
                    times = asyncio.run(load(url, clients, seconds))
                    told = found.setdefault(f"{way}, {clients} clients", {"p50_ms": [], "p99_ms": [], "per_second": []})
                    told["p50_ms"].append(round(1e3 * times[len(times) // 2], 1))
                    told["p99_ms"].append(round(1e3 * times[int(0.99 * (len(times) - 1))], 1))
                    told["per_second"].append(round(len(times) / seconds, 1))
    return found


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1])), indent=1))
