"""deploy/ray_serve: the server's own application on Ray Serve, with a replica that is killed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from artifacts.store.open import open_store
from tests.cluster.serving import REPLICAS, ray_serve, status
from tests.support import make_artifact, photo, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.needs("ray-serve")]


def replicas() -> list[int]:
    """Process ids."""
    time.sleep(0.2)
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "ServeReplica:vtv:Server" in line]


def test_it_answers_follows_the_store_and_replaces_a_replica(tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    def publish(seed: int) -> str:
        make_artifact(tmp_path / "made", "identity", tiny_model[1], seed)
        return open_store(tmp_path / "store").publish(tmp_path / "made").hash

    publish(1)
    picture = photo(seed=1)
    with ray_serve(tiny_model[0], tmp_path / "store", tmp_path) as url:

        def ask() -> httpx.Response:
            headers = {"Content-Type": "image/jpeg"}
            return httpx.post(f"{url}/infer?task=identity", content=picture, headers=headers, trust_env=False)

        reply = ask()
        assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
        assert "decode" in reply.headers["server-timing"]
        assert status(f"{url}/infer") == httpx.codes.METHOD_NOT_ALLOWED
        newer = publish(2)
        wait_until(lambda: {ask().headers["x-vtv-artifact"] for _ in range(4 * REPLICAS)} == {newer}, "the new version")
        wait_until(lambda: len(replicas()) == REPLICAS, "all replicas")
        os.kill(replicas()[0], signal.SIGKILL)
        wait_until(lambda: ask().status_code == httpx.codes.OK, "the other replica")
        wait_until(lambda: len(replicas()) == REPLICAS, "a replacement")
