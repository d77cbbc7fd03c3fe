"""Many publishers, killed at random, and a reader who must find a whole task, old or new, whenever he looks.

    python -m tests.object_storage.contest PUBLISHES

Starts an S3 server of its own and prints one JSON object; fails where a read is anything else.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from artifacts.store.file import file_hash
from artifacts.store.objects import ObjectStore
from tests.object_storage.s3_server import BUCKET, S3Server, environment
from tests.support import ANSWERS, make_artifact

VERSIONS = 20
"""Of four tasks."""


def contest(url: str, folder: Path, publishes: int) -> dict[str, Any]:
    """Raises AssertionError for a read that is no whole task under its own name."""
    known: dict[str, str] = {}
    for seed in range(VERSIONS):
        task = list(ANSWERS)[seed % 4]
        path = folder / f"{seed}.safetensors"
        make_artifact(path, task, "m", seed)
        known[file_hash(path)] = task
    command = [sys.executable, "-m", "tests.object_storage.publishers", url, str(folder), str(publishes)]
    started, store = time.monotonic(), ObjectStore(url)
    publishers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen: set[str] = set()
    reads = 0
    while publishers.poll() is None:
        for name in store.names():
            artifact = store.read(name)  # checks the content by its hash
            assert known[artifact.hash] == artifact.task == name
            seen.add(artifact.hash)
            reads += 1
    out, _ = publishers.communicate()
    assert publishers.returncode == 0
    counted: dict[str, Any] = json.loads(out)
    return counted | {"reads": reads, "versions_read": len(seen), "seconds": round(time.monotonic() - started, 1)}


def main(publishes: int) -> dict[str, Any]:
    """On a server of its own."""
    server = S3Server()
    try:
        os.environ.update(environment(server.endpoint))
        with tempfile.TemporaryDirectory() as folder:
            return contest(f"s3://{BUCKET}/store", Path(folder), publishes)
    finally:
        server.stop()


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
