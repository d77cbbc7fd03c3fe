"""Many publishers, killed at random: whoever reads finds a whole task, old or new."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from artifacts.store.file import file_hash
from artifacts.store.objects import ObjectStore
from tests.object_storage.conftest import URL
from tests.support import ANSWERS, make_artifact

PUBLISHES = 250


@pytest.mark.slow
def test_every_read_is_a_whole_task_while_publishers_are_killed(store: ObjectStore, tmp_path: Path) -> None:
    known: dict[str, str] = {}
    for seed in range(20):
        task = list(ANSWERS)[seed % 4]
        path = tmp_path / f"{seed}.safetensors"
        make_artifact(path, task, "m", seed)
        known[file_hash(path)] = task
    command = [sys.executable, "-m", "tests.object_storage.publishers", URL, str(tmp_path), str(PUBLISHES)]
    publishers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen: set[str] = set()
    reads = 0
    while publishers.poll() is None:
        for name in store.names():
            artifact = store.read(name)  # checks the content by its hash
            assert known[artifact.hash] == artifact.task == name
            seen.add(artifact.hash)
            reads += 1
    assert publishers.stdout is not None
    counted = json.loads(publishers.stdout.read())
    publishers.stdout.close()
    assert publishers.returncode == 0
    assert counted["published"] >= PUBLISHES
    assert counted["killed"] >= 8
    assert reads > 20
    assert len(seen) > 4  # it was read while it changed
